"""Folders that transformers wrote, read and written back."""

import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from flax.traverse_util import flatten_dict
from jax.sharding import NamedSharding
from safetensors.torch import load_file, save_file
from tiny_hf import KINDS, KV, PATCH, VISION_LAYERS, WIDTH, family_of, make, wanted

from mllm.checkpoints import tables
from mllm.checkpoints.hf import find_prefixes, read_tree, write_tree
from mllm.checkpoints.hf_config import read_config
from mllm.checkpoints.tables import TABLES
from mllm.checkpoints.tensor_files import TensorFiles, open_folder
from mllm.models import MODELS
from mllm.parallel.mesh import make_mesh
from mllm.parallel.rules import spec_of

SHARD = 20_000  # bytes: several files for every model


def table_of(kind: str):
    return tables.table_of(family_of(kind), "phi3" if kind.endswith("_phi3") else None)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of several shards for each kind and dtype, made once."""
    made = {}

    def folder(kind: str, dtype: torch.dtype = torch.float32):
        if (kind, dtype) not in made:
            path = tmp_path_factory.mktemp(kind)
            make(kind, dtype).save_pretrained(path, max_shard_size=SHARD)
            made[kind, dtype] = path
        return made[kind, dtype]

    return folder


def tensors_of(folder) -> dict[str, torch.Tensor]:
    """All tensors of a folder, read by the safetensors library."""
    files = sorted(folder.glob("*.safetensors"))
    return {name: value for file in files for name, value in load_file(file).items()}


def numbers(value: torch.Tensor) -> np.ndarray:
    if value.dtype == torch.bfloat16:
        return value.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return value.numpy()


def by_modules(model) -> dict[str, torch.Tensor]:
    """Our tree, flat, from the attributes of the modules: no name of a file is used."""
    inner = model.model
    text = inner.language_model if hasattr(inner, "language_model") else inner.text_model
    eyes = inner.vision_tower if hasattr(inner, "vision_tower") else inner.vision_model
    eyes = getattr(eyes, "vision_model", eyes)
    leaves = {"decoder/embed": text.embed_tokens.weight, "decoder/norm/scale": text.norm.weight}
    if not model.config.tie_word_embeddings:
        leaves["decoder/head"] = model.lm_head.weight.T
    leaves |= stack("decoder", map(gated_block, text.layers))
    llava = hasattr(inner, "multi_modal_projector")
    layers = eyes.encoder.layers[: VISION_LAYERS - llava]
    leaves |= stack("vision", map(vision_block, layers))
    embeddings = eyes.embeddings
    leaves["vision/position"] = embeddings.position_embedding.weight
    leaves["vision/patch/w"] = torch.stack(
        [
            embeddings.patch_embedding.weight[:, channel, row, column]
            for row in range(PATCH)
            for column in range(PATCH)
            for channel in range(3)
        ]
    )
    if embeddings.patch_embedding.bias is not None:
        leaves["vision/patch/b"] = embeddings.patch_embedding.bias
    if hasattr(eyes, "pre_layrnorm"):
        leaves["vision/class_token"] = embeddings.class_embedding
        leaves |= norm("vision/pre_norm", eyes.pre_layrnorm)
    if hasattr(inner, "image_newline"):
        leaves["newline"] = inner.image_newline
    if llava:
        leaves |= linear("projector/fc1", inner.multi_modal_projector.linear_1)
        leaves |= linear("projector/fc2", inner.multi_modal_projector.linear_2)
        return leaves
    leaves |= norm("vision/post_norm", eyes.post_layernorm)
    projection = inner.connector.modality_projection
    if hasattr(projection, "proj"):
        return leaves | linear("connector", projection.proj)
    resampler = inner.connector.perceiver_resampler
    leaves |= gated("connector", projection)
    leaves |= stack("resampler", map(resampler_block, resampler.layers))
    leaves |= norm("resampler/norm", resampler.norm)
    return leaves | {"resampler/latents": resampler.latents}


def linear(path, module):
    found = {f"{path}/w": module.weight.T}
    return found if module.bias is None else found | {f"{path}/b": module.bias}


def norm(path, module):
    found = {f"{path}/scale": module.weight}
    return found | {f"{path}/b": module.bias} if hasattr(module, "bias") else found


def gated(path, mlp):
    if hasattr(mlp, "gate_up_proj"):
        halves = mlp.gate_up_proj.weight.chunk(2)
        found = {f"{path}/{n}/w": half.T for n, half in zip(("gate", "up"), halves, strict=True)}
        return found | linear(f"{path}/down", mlp.down_proj)
    pairs = {"gate": mlp.gate_proj, "up": mlp.up_proj, "down": mlp.down_proj}
    found = {}
    for name, module in pairs.items():
        found |= linear(f"{path}/{name}", module)
    return found


def attention(module, output):
    if hasattr(module, "qkv_proj"):
        parts = module.qkv_proj.weight.split([WIDTH, KV, KV])
        found = {f"layers/{n}/w": part.T for n, part in zip("qkv", parts, strict=True)}
        return found | linear("layers/o", output)
    found = {}
    for name in "qkv":
        found |= linear(f"layers/{name}", getattr(module, f"{name}_proj"))
    return found | linear("layers/o", output)


def gated_block(block):
    return {
        **attention(block.self_attn, block.self_attn.o_proj),
        **gated("layers", block.mlp),
        **norm("layers/attention_norm", block.input_layernorm),
        **norm("layers/mlp_norm", block.post_attention_layernorm),
    }


def resampler_block(block):
    return {
        **attention(block.self_attn, block.self_attn.o_proj),
        **gated("layers", block.mlp),
        **norm("layers/latents_norm", block.input_latents_norm),
        **norm("layers/context_norm", block.input_context_norm),
        **norm("layers/mlp_norm", block.post_attention_layernorm),
    }


def vision_block(block):
    return {
        **attention(block.self_attn, block.self_attn.out_proj),
        **linear("layers/fc1", block.mlp.fc1),
        **linear("layers/fc2", block.mlp.fc2),
        **norm("layers/attention_norm", block.layer_norm1),
        **norm("layers/mlp_norm", block.layer_norm2),
    }


def stack(part, blocks):
    blocks = list(blocks)
    return {f"{part}/{name}": torch.stack([b[name] for b in blocks]) for name in blocks[0]}


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_of_a_folder_asks_for_these_leaves(folders, kind):
    where = folders(kind) / "config.json"
    config = read_config(where, json.loads(where.read_text()), {}, "float32")
    shapes = jax.tree.map(np.shape, MODELS[family_of(kind)].abstract(config)["params"])
    assert shapes == jax.tree.map(np.shape, wanted(kind))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_leaf_equals_the_parameters_of_the_modules(folders, kind, dtype):
    folder = folders(kind, dtype)
    assert len(list(folder.glob("*.safetensors"))) > 1
    tree, _ = read_tree(open_folder(folder), table_of(kind), wanted(kind))
    found, expected = flatten_dict(tree, sep="/"), by_modules(make(kind, dtype))
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        value = numbers(value.detach().contiguous())
        assert found[path].dtype == value.dtype
        np.testing.assert_array_equal(found[path], value, path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_equals_what_was_read_to_the_bit(folders, tmp_path, kind, dtype):
    folder, table = folders(kind, dtype), table_of(kind)
    files = open_folder(folder)
    tree, carried = read_tree(files, table, wanted(kind))
    write_tree(
        tmp_path / "out",
        tree,
        carried,
        table,
        prefixes=find_prefixes(files, table),
        max_shard_bytes=SHARD,
    )
    before, after = tensors_of(folder), tensors_of(tmp_path / "out")
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert after[name].dtype == value.dtype, name
        assert torch.equal(after[name], value), name
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == before.keys()
    assert index["metadata"]["total_size"] == sum(v.nbytes for v in before.values())
    shards = [load_file(file) for file in (tmp_path / "out").glob("*.safetensors")]
    assert len(shards) > 1
    for shard in shards:
        assert len(shard) == 1 or sum(value.nbytes for value in shard.values()) <= SHARD


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_what_is_written(folders, tmp_path, kind):
    model = make(kind)
    tree, carried = read_tree(open_folder(folders(kind)), table_of(kind), wanted(kind))
    write_tree(tmp_path, tree, carried, table_of(kind))
    model.config.save_pretrained(tmp_path)
    assert [f.name for f in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    loaded, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


NEWER_NAMES = [
    {"vision_tower.": "vision_tower.vision_model."},  # transformers 4
    {  # modules of transformers 4.52
        "language_model.model.": "model.language_model.",
        "language_model.lm_head.": "lm_head.",
        "vision_tower.": "model.vision_tower.vision_model.",
        "multi_modal_projector.": "model.multi_modal_projector.",
        "image_newline": "model.image_newline",
    },
    {  # modules of transformers 5
        "language_model.model.": "model.language_model.",
        "language_model.lm_head.": "lm_head.",
        "vision_tower.": "model.vision_tower.",
        "multi_modal_projector.": "model.multi_modal_projector.",
        "image_newline": "model.image_newline",
    },
]


def rename(name: str, prefixes: dict[str, str]) -> str:
    for old, new in prefixes.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


@pytest.mark.parametrize("kind", ["llava", "llava_next"])
@pytest.mark.parametrize("prefixes", NEWER_NAMES, ids=["4", "4.52", "5"])
def test_names_of_other_versions_give_the_same_tree(folders, tmp_path, prefixes, kind):
    table = TABLES[kind]
    tensors = tensors_of(folders(kind))
    renamed = {rename(name, prefixes): value for name, value in tensors.items()}
    assert renamed.keys() != tensors.keys()
    (tmp_path / "in").mkdir()
    save_file({k: v.contiguous() for k, v in renamed.items()}, tmp_path / "in/model.safetensors")
    files = open_folder(tmp_path / "in")
    tree, carried = read_tree(files, table, wanted(kind))
    plain, kept = read_tree(open_folder(folders(kind)), table, wanted(kind))
    jax.tree.map(np.testing.assert_array_equal, (tree, carried), (plain, kept))
    write_tree(tmp_path / "same", tree, carried, table, prefixes=find_prefixes(files, table))
    assert tensors_of(tmp_path / "same").keys() == renamed.keys()
    write_tree(tmp_path / "published", tree, carried, table)
    assert tensors_of(tmp_path / "published").keys() == {
        rename(name, NEWER_NAMES[0]) for name in tensors
    }


@pytest.mark.parametrize(("kind", "size"), [("llava", 18), ("llava_siglip", 29), ("idefics2", 0)])
def test_what_the_model_never_computes_with_is_carried(folders, kind, size):
    _, carried = read_tree(open_folder(folders(kind)), table_of(kind), wanted(kind))
    before = tensors_of(folders(kind))
    assert len(carried) == size
    for name, values in carried.items():
        inner = name.removeprefix("vision_tower.vision_model.")
        assert inner.split(".")[0] in ("post_layernorm", "head") or "encoder.layers.2." in inner
        np.testing.assert_array_equal(values, before[f"vision_tower.{inner}"])


def test_buffers_of_older_versions_are_passed_over(folders, tmp_path):
    tensors = tensors_of(folders("llava"))
    tensors["vision_tower.embeddings.position_ids"] = torch.arange(10)[None]
    tensors["language_model.model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    save_file(tensors, tmp_path / "model.safetensors")
    _, carried = read_tree(open_folder(tmp_path), TABLES["llava"], wanted("llava"))
    assert not any("position_ids" in name or "inv_freq" in name for name in carried)


def test_a_tied_head_may_stand_there_if_it_is_the_embedding(folders, tmp_path):
    kind = "idefics3_tied"
    tensors = tensors_of(folders(kind))
    assert "lm_head.weight" not in tensors
    tensors["lm_head.weight"] = tensors["model.text_model.embed_tokens.weight"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    tree, carried = read_tree(open_folder(tmp_path), table_of(kind), wanted(kind))
    assert "head" not in tree["decoder"] and not carried
    tensors["lm_head.weight"][63, 15] += 1
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"'lm_head\.weight': expected the values of 'model\.text"):
        read_tree(open_folder(tmp_path), table_of(kind), wanted(kind))


def test_dtype_casts_every_leaf_and_back(folders, tmp_path):
    files, table = open_folder(folders("llava", torch.bfloat16)), TABLES["llava"]
    tree, carried = read_tree(files, table, wanted("llava"), dtype="float32")
    assert {leaf.dtype for leaf in jax.tree.leaves(tree)} == {jnp.dtype("float32")}
    write_tree(
        tmp_path,
        tree,
        carried,
        table,
        dtype="bfloat16",
        prefixes=find_prefixes(files, table),
    )
    for name, value in tensors_of(folders("llava", torch.bfloat16)).items():
        assert torch.equal(tensors_of(tmp_path)[name], value), name


def test_layers_of_two_dtypes_need_one_to_be_named(folders, tmp_path):
    tensors = tensors_of(folders("llava"))
    name = "language_model.model.layers.1.self_attn.q_proj.weight"
    tensors[name] = tensors[name].to(torch.bfloat16)
    save_file(tensors, tmp_path / "model.safetensors")
    files = open_folder(tmp_path)
    with pytest.raises(ValueError, match=r"layers\.1\.\S+': expected float32.*found bfloat16; ask"):
        read_tree(files, TABLES["llava"], wanted("llava"))
    tree, _ = read_tree(files, TABLES["llava"], wanted("llava"), dtype="float16")
    assert tree["decoder"]["layers"]["q"]["w"].dtype == jnp.float16


@pytest.mark.parametrize("sizes", [(1, 8, 1), (2, 2, 2), (1, 2, 4)], ids=str)
@pytest.mark.parametrize("kind", ["llava", "llava_phi3", "idefics2", "idefics3"])
def test_each_device_gets_its_part_and_no_byte_is_read_twice(folders, monkeypatch, kind, sizes):
    files, table = open_folder(folders(kind)), table_of(kind)
    plain, carried = read_tree(files, table, wanted(kind))
    mesh = make_mesh(*sizes)
    parts: dict[str, list[int]] = {}

    def read(self, name, index=(), whole=TensorFiles.read):
        values = whole(self, name, index)
        parts.setdefault(name, []).append(values.nbytes)
        return values

    monkeypatch.setattr(TensorFiles, "read", read)
    places = {}

    def place(path, shape):
        places[path] = NamedSharding(mesh, spec_of(path, shape, mesh))
        return places[path]

    tree, _ = read_tree(files, table, wanted(kind), place=place)
    for path, leaf in flatten_dict(tree, sep="/").items():
        assert leaf.sharding == places[path]
        np.testing.assert_array_equal(leaf, flatten_dict(plain, sep="/")[path])
    stored = tensors_of(folders(kind))
    assert {name: sum(sizes) for name, sizes in parts.items()} == {
        name: value.nbytes for name, value in stored.items()
    }
    matrix = next(name for name in parts if "layers.0.self_attn.q" in name)
    assert len(parts[matrix]) == sizes[1] * sizes[2] * (3 if "qkv" in matrix else 1)
    tails = tuple(name.removeprefix("vision_tower.vision_model.") for name in carried)
    kept = [name for name in parts if name.endswith(tails)]
    assert len(kept) == len(carried) and all(len(parts[name]) == 1 for name in kept)


@pytest.mark.parametrize("kind", ["idefics2", "llava_phi3"])
def test_leaves_spread_over_devices_are_written_whole(folders, tmp_path, kind):
    mesh = make_mesh(2, 2, 2)
    files, table = open_folder(folders(kind)), table_of(kind)
    tree, carried = read_tree(
        files,
        table,
        wanted(kind),
        place=lambda path, shape: NamedSharding(mesh, spec_of(path, shape, mesh)),
    )
    write_tree(tmp_path, tree, carried, table, prefixes=find_prefixes(files, table))
    after = tensors_of(tmp_path)
    for name, value in tensors_of(folders(kind)).items():
        assert torch.equal(after[name], value), name


def drop(name, tensors):
    del tensors[name]


def put(name, shape, tensors):
    tensors[name] = torch.zeros(shape)


Q = "language_model.model.layers.1.self_attn.q_proj.weight"
EXTRA = "language_model.model.layers.2.self_attn.q_proj.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((drop, Q), rf"{Q}' is missing: expected shape \(16, 16\), found none"),
        ((drop, "vision_tower.encoder.layers.1.mlp.fc1.bias"), r"fc1\.bias' is missing"),
        ((drop, "multi_modal_projector.linear_1.bias"), r"linear_1\.bias' is missing"),
        ((drop, "vision_tower.pre_layrnorm.weight"), r"pre_layrnorm\.weight' is missing"),
        ((put, Q, (16, 17)), rf"{Q}': expected shape \(16, 16\), found \(16, 17\)"),
        ((put, Q, (16,)), rf"{Q}': expected shape \(16, 16\), found \(16,\)"),
        (
            (put, "vision_tower.embeddings.patch_embedding.weight", (16, 3, 4, 5)),
            r"\(16, 3, 4, 4\)",
        ),
        ((put, EXTRA, (16, 16)), rf"{EXTRA}' is unexpected"),
        ((put, Q.replace("weight", "bias"), (16,)), r"q_proj\.bias' is unexpected"),
        ((put, Q.replace("layers.1", "layers.01"), (16, 16)), r"layers\.01\.\S+' is unexpected"),
        ((put, "vision_tower.embeddings.patch_embedding.bias", (16,)), r"bias' is unexpected"),
        ((put, "vision_tower.encoder.layers.0.norm3.bias", (16,)), r"norm3\.bias' is unexpected"),
        ((put, "lm_head.weight", (64, 16)), r"'lm_head\.weight' is unexpected"),
        ((put, "model.language_model.norm.weight", (16,)), r"norm\.weight' is unexpected"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_a_tensor_that_does_not_fit_is_named(folders, tmp_path, change, message):
    tensors = tensors_of(folders("llava"))
    edit, *arguments = change
    edit(*arguments, tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=message) as caught:
        read_tree(open_folder(tmp_path), TABLES["llava"], wanted("llava"))
    assert str(tmp_path / "model.safetensors") in str(caught.value)


def test_a_leaf_that_the_family_lacks_is_named(folders, tmp_path):
    tree = wanted("llava")
    tree["vision"]["layers"]["attention_scale"] = {
        "scale": jax.ShapeDtypeStruct((2, 16), "float32")
    }
    with pytest.raises(ValueError, match=r"'vision/layers/attention_scale/scale': .* has none"):
        read_tree(open_folder(folders("llava")), TABLES["llava"], tree)


def test_nothing_is_written_over_weights_that_are_there(folders, tmp_path):
    tree, carried = read_tree(
        open_folder(folders("idefics3")), TABLES["idefics3"], wanted("idefics3")
    )
    write_tree(tmp_path, tree, carried, TABLES["idefics3"], max_shard_bytes=SHARD)
    with pytest.raises(ValueError, match=r"index\.json: exists already; export to a new folder"):
        write_tree(tmp_path, tree, carried, TABLES["idefics3"])
