"""Adapters that PEFT loads, and adapters that PEFT wrote."""

import json
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tiny_hf import GRID, PATCH, make, wanted

from mllm.checkpoints.hf import read_tree
from mllm.checkpoints.hf_config import read_config
from mllm.checkpoints.peft import CONFIG, WEIGHTS, write_adapter
from mllm.checkpoints.peft_read import read_adapter
from mllm.checkpoints.tables import TABLES
from mllm.checkpoints.tensor_files import open_folder
from mllm.models import MODELS
from mllm.ops.lora import init_lora
from mllm.parallel.mesh import make_mesh
from mllm.parallel.rules import spec_of

CASES = {
    "llava": r"decoder/layers/(q|v|down)$|vision/layers/(q|k|v)$",
    "idefics2": r"decoder/layers/(q|o)$|vision/layers/fc1$|connector/up$|resampler/layers/gate$",
    "idefics3": r"decoder/layers/(gate|k)$|connector$",
}
IMAGE_TOKENS = {"llava": GRID**2, "idefics2": 5, "idefics3": 1}


def example(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens i64[1, T], and normalised pixels float32[1, 3, H, W] of their image."""
    tokens = np.array([[1, *[3] * IMAGE_TOKENS[kind], 9, 20, 31, 7]])
    side = PATCH * GRID
    return tokens, np.random.default_rng(1).normal(size=(1, 3, side, side)).astype(np.float32)


def logits(model, kind: str) -> np.ndarray:
    """float32[1, T, V] of a model of transformers."""
    tokens, pixels = map(torch.from_numpy, example(kind))
    pixels = pixels if kind == "llava" else pixels[:, None]
    with torch.no_grad():
        return model.eval()(input_ids=tokens, pixel_values=pixels).logits.numpy()


def our_logits(folder, kind: str, lora: dict) -> np.ndarray:
    """float32[1, T, V] of our model of a folder with an adapter."""
    where = folder / "config.json"
    config = read_config(where, json.loads(where.read_text()), {}, "float32")
    model = MODELS[kind]
    params, _ = read_tree(open_folder(folder), TABLES[kind], model.abstract(config)["params"])
    tokens, pixels = example(kind)
    batch = {
        "tokens": jnp.asarray(tokens, jnp.int32),
        "positions": jnp.arange(tokens.shape[1])[None],
        "segments": jnp.zeros(tokens.shape, jnp.int32),
        "media": {
            "image": {
                "values": jnp.asarray(pixels.transpose(0, 2, 3, 1)[:, None]),
                "slots": jnp.array([[1]]),
            }
        },
    }

    @jax.jit
    def run(variables):
        states, _ = model.hidden(config, variables, batch)
        return states @ model.head(config, variables)

    with jax.default_matmul_precision("highest"):
        return np.asarray(run({"params": params, "lora": lora}))


def random_adapter(kind: str, rank: int = 3) -> dict:
    """An adapter whose b is not zero."""
    draw = partial(init_lora, rank=rank, targets=CASES[kind])
    shapes = jax.eval_shape(draw, wanted(kind), jax.random.key(0))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32) / 4, shapes)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", CASES)
def test_peft_loads_what_is_written_and_answers_as_we_do(tmp_path, kind):
    lora = random_adapter(kind)
    base = make(kind)
    base.save_pretrained(tmp_path / "base")
    expected, plain = our_logits(tmp_path / "base", kind, lora), logits(base, kind)
    write_adapter(tmp_path / "adapter", lora, TABLES[kind], "base", dropout=0.1)
    model = PeftModel.from_pretrained(base, tmp_path / "adapter")
    np.testing.assert_allclose(logits(model, kind), expected, atol=1e-4)
    assert np.abs(plain - expected).max() > 0.01
    stored = load_file(tmp_path / "adapter" / WEIGHTS)
    adapted = {name for name, _ in model.named_modules() if name.endswith("lora_A.default")}
    assert 2 * len(adapted) == len(stored)
    config = model.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (3, 3, 0.1)


@pytest.mark.parametrize("kind", CASES)
def test_what_is_written_is_read_back(tmp_path, kind):
    lora = random_adapter(kind)
    write_adapter(tmp_path, lora, TABLES[kind], "base", dropout=0.25)
    adapter = read_adapter(tmp_path, TABLES[kind], wanted(kind))
    found, options = adapter.lora, adapter.options
    assert not adapter.changes and not adapter.untied
    jax.tree.map(np.testing.assert_array_equal, found, lora)
    assert (options["rank"], options["dropout"]) == (3, 0.25)
    again = partial(init_lora, rank=3, targets=options["targets"])
    again = jax.eval_shape(again, wanted(kind), jax.random.key(0))
    assert jax.tree.map(np.shape, again) == jax.tree.map(np.shape, lora)


def test_target_modules_are_exactly_those_with_an_adapter(tmp_path):
    write_adapter(tmp_path, random_adapter("llava"), TABLES["llava"], "base")
    pattern = json.loads((tmp_path / CONFIG).read_text())["target_modules"]
    modules = [name for name, _ in make("llava").named_modules()]
    decoder = {
        f"model.language_model.layers.{i}.{m}"
        for i in range(2)
        for m in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
    }
    vision = {  # the third layer is not run
        f"model.vision_tower.encoder.layers.{i}.self_attn.{m}_proj" for i in range(2) for m in "qkv"
    }
    assert {m for m in modules if re.fullmatch(pattern, m)} == decoder | vision
    for older in (
        "language_model.model.layers.1.self_attn.q_proj",
        "vision_tower.vision_model.encoder.layers.1.self_attn.k_proj",
        "model.vision_tower.vision_model.encoder.layers.0.self_attn.k_proj",
    ):
        assert re.fullmatch(pattern, older)


def test_an_adapter_is_read_to_its_place(tmp_path):
    lora = random_adapter("llava")
    write_adapter(tmp_path, lora, TABLES["llava"], "base")
    mesh = make_mesh(data=1, fsdp=8)
    seen = []

    def place(path, shape):
        seen.append(path)
        return jax.sharding.NamedSharding(mesh, spec_of(path, shape, mesh))

    found = read_adapter(tmp_path, TABLES["llava"], wanted("llava"), place=place).lora
    assert all(re.fullmatch(r"lora/.+/[ab]", path) for path in seen)
    assert found["decoder"]["layers"]["q"]["a"].sharding.spec == spec_of(
        "lora/decoder/layers/q/a", (2, 16, 3), mesh
    )
    jax.tree.map(np.testing.assert_array_equal, found, lora)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, r"'peft_type': expected 'LORA', found 'IA3'"),
        ({"use_qalora": True}, r"'use_qalora': expected none of it.*merge_and_unload.*found True"),
        ({"use_something_new": 3}, r"'use_something_new': expected none of it.*found 3"),
        ({"layer_replication": [[0, 2], [1, 2]]}, r"'layer_replication'.*\[\[0, 2\], \[1, 2\]\]"),
        ({"target_parameters": ["w"]}, r"'target_parameters'"),
        ({"alora_invocation_tokens": [5]}, r"'alora_invocation_tokens'"),
        ({"bias": "some"}, r"'bias': expected none, all, lora_only, found 'some'"),
        ({"alpha_pattern": {"q_proj": "4"}}, r"'alpha_pattern': expected patterns"),
        ({"rank_pattern": {"(q_proj": 4}}, r"'rank_pattern': expected patterns"),
        ({"rank_pattern": {"q_proj": 4}}, r"q_proj\.lora_A\.weight': expected shape \(4, 16\)"),
        ({"use_dora": True}, r"lora_magnitude_vector' is missing: expected shape"),
        ({"lora_dropout": None}, r"'lora_dropout': expected a number, found None"),
        ({"init_lora_weights": "pissa"}, r"'init_lora_weights'.*found 'pissa'"),
        ({"r": 0}, r"'r': expected a positive integer, found 0"),
        ({"lora_alpha": None}, r"'lora_alpha': expected a number, found None"),
        ({"r": 4}, r"down_proj\.lora_A\.weight': expected shape \(4, 24\), found \(3, 24\)"),
    ],
)
def test_options_that_are_not_plain_lora_are_named(tmp_path, changes, message):
    write_adapter(tmp_path, random_adapter("llava"), TABLES["llava"], "base")
    config = json.loads((tmp_path / CONFIG).read_text()) | changes
    (tmp_path / CONFIG).write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message) as caught:
        read_adapter(tmp_path, TABLES["llava"], wanted("llava"))
    assert str(tmp_path) in str(caught.value)


def drop(name, tensors):
    del tensors[name]


def drop_layer(name, tensors):
    for end in "AB":
        del tensors[f"{name}.lora_{end}.weight"]


def add(name, tensors):
    tensors[name] = torch.zeros(3, 16)


def keep_none(tensors):
    tensors.clear()
    tensors["base_model.model.x"] = torch.zeros(1)


Q = "base_model.model.language_model.model.layers.1.self_attn.q_proj"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (partial(drop, f"{Q}.lora_A.weight"), r"layers\.1\.\S+q_proj\.lora_A\.weight' is missing"),
        (partial(add, f"{Q}.lora_E.weight"), r"q_proj\.lora_E\.weight' is unexpected"),
        (
            partial(add, Q.replace("layers.1", "layers.2") + ".lora_A.weight"),
            r"layers\.2\.\S+ is un",
        ),
        (
            partial(add, "base_model.model.language_model.lm_head.lora_A.weight"),
            r"lm_head\.lora_B\.weight' is missing: expected shape \(64, 3\)",
        ),
        (partial(add, "base_model.model.language_model.score.weight"), r"score\.weight' is unexp"),
        (partial(add, f"{Q}.weight"), r"q_proj\.weight': expected shape \(16, 16\), found \(3, 16"),
        (partial(add, f"{Q}.bias"), r"q_proj\.bias' is unexpected"),
        (partial(add, f"{Q}.lora_magnitude_vector"), r"lora_magnitude_vector' is unexpected"),
        (partial(drop_layer, Q), r"layers\.1\.\S+q_proj\.lora_A\.weight' is missing"),
        (partial(add, f"{Q}.lora_B.weight"), r"lora_B\.weight': expected shape \(16, 3\)"),
        (keep_none, r"holds no adapter"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path, change, message):
    write_adapter(tmp_path, random_adapter("llava"), TABLES["llava"], "base")
    tensors = load_file(tmp_path / WEIGHTS)
    change(tensors)
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match=message) as caught:
        read_adapter(tmp_path, TABLES["llava"], wanted("llava"))
    assert WEIGHTS in str(caught.value)


def test_what_cannot_be_written(tmp_path):
    lora = random_adapter("llava")
    lora["decoder"]["layers"]["q"] = random_adapter("llava", 4)["decoder"]["layers"]["q"]
    with pytest.raises(ValueError, match=r"expected rank 4, that of others, found 3"):
        write_adapter(tmp_path, lora, TABLES["llava"], "base")
    patch = {"vision": {"patch": {"a": np.zeros((48, 2)), "b": np.zeros((2, 16))}}}
    with pytest.raises(ValueError, match=r"'vision/patch/a': the Hugging Face model .* has none"):
        write_adapter(tmp_path, patch, TABLES["llava"], "base")
    assert not list(tmp_path.iterdir())
    write_adapter(tmp_path, random_adapter("llava"), TABLES["llava"], "base")
    with pytest.raises(ValueError, match=r"adapter_model\.safetensors: exists already"):
        write_adapter(tmp_path, random_adapter("llava"), TABLES["llava"], "base")


def test_a_missing_file_is_named(tmp_path):
    for name in (CONFIG, WEIGHTS):
        with pytest.raises(FileNotFoundError, match=re.escape(name)):
            read_adapter(tmp_path, TABLES["llava"], wanted("llava"))
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "lora_dropout": 0}
        (tmp_path / CONFIG).write_text(json.dumps(config))
