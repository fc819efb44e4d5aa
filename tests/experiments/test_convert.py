"""experiments.convert: nothing is lost both ways, what differs from transformers is named, and a
target is whole or absent.
"""

import io
import os
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import peft
import published_folders as published
import pytest
import torch
import toy
import transformers
from absl import flags
from absl.testing import flagsaver
from damage import setting
from flax.traverse_util import flatten_dict, unflatten_dict
from PIL import Image
from safetensors.torch import load_file

import mllm
from configs.mllmu import tiny
from experiments import convert, verify
from mllm.checkpoints import hf, orbax
from mllm.files import write_text
from mllm.models import MODELS, config_from_dict
from mllm.models.media import normalise
from mllm.ops.lora import init_lora

pytestmark = pytest.mark.thorough

PROMPT = "USER: <image>\nWho is it?\nASSISTANT:"
WEIGHTS = "*.safetensors*"
OTHERS = ("LICENSE", "tokenizer.model.v3", "additional_chat_templates/tool_use.jinja")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{% for c in m['content'] %}"
    "{{ '<image>' if c['type'] == 'image' else c['text'] | trim }}{% endfor %}</s>{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
# Of a table of 30 patches a side: where a picture has 25, the rules of positions differ.
FINE = {"image_size": 60, "patch_size": 2}


@pytest.fixture(scope="module")
def hf_folder(tmp_path_factory):
    """(family, or "fine" for Idefics2 with small patches; dtype) -> a Hugging Face folder."""
    root = tmp_path_factory.mktemp("published")

    @cache
    def write(family: str, dtype: torch.dtype) -> Path:
        name, options = ("idefics2", {"vision": FINE}) if family == "fine" else (family, {})
        published.write(name, root / f"{family}-{dtype}", dtype=dtype, **options)
        for file in OTHERS:
            write_text(root / f"{family}-{dtype}" / file, "x")
        return root / f"{family}-{dtype}"

    return lambda family, dtype=torch.float32: write(family, dtype)


@pytest.fixture(scope="module")
def our_folder(hf_folder, tmp_path_factory):
    """(family, dtype) -> the same converted to a folder of ours."""
    root = tmp_path_factory.mktemp("ours")

    @cache
    def write(family: str, dtype: torch.dtype) -> Path:
        run(hf_folder(family, dtype), root / f"{family}-{dtype}")
        return root / f"{family}-{dtype}"

    return lambda family, dtype=torch.float32: write(family, dtype)


def run(source: Path, target: Path, **options) -> None:
    """``main`` of the command, in this process."""
    flags.FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(**{"from": source, "to": target}, **options):
        convert.main([])


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    held = {}
    for path in folder.glob("*.safetensors"):
        held |= load_file(path)
    return held


def small_files(folder: Path) -> dict[str, bytes]:
    weights = set(folder.glob(WEIGHTS))
    files = {path for path in folder.rglob("*") if path.is_file()} - weights
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def load_published(folder: Path):
    """The model of transformers, that all of its weights are in the folder and nothing else."""
    model, report = transformers.AutoModelForImageTextToText.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(report.values()), report
    return model.eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", published.FAMILIES)
def test_there_and_back_is_equal_to_the_bit(hf_folder, our_folder, tmp_path, family, dtype):
    source = hf_folder(family, dtype)
    run(our_folder(family, dtype), tmp_path / "back")
    before, after = tensors_of(source), tensors_of(tmp_path / "back")
    assert before.keys() == after.keys()
    for name, values in before.items():
        assert after[name].dtype == values.dtype and after[name].shape == values.shape
        assert torch.equal(after[name].view(torch.uint8), values.view(torch.uint8)), name
    assert small_files(tmp_path / "back") == small_files(source)
    assert load_published(tmp_path / "back").dtype == dtype


@pytest.mark.parametrize("back", [False, True], ids=["into ours", "into Hugging Face's"])
def test_a_dtype_is_that_of_all_tensors(hf_folder, our_folder, tmp_path, back):
    source, expected = hf_folder("llava"), tensors_of(hf_folder("llava"))
    if back:
        run(our_folder("llava"), tmp_path / "cast", dtype="bfloat16")
    else:
        run(source, tmp_path / "ours", dtype="bfloat16")
        run(tmp_path / "ours", tmp_path / "cast")
    found = tensors_of(tmp_path / "cast")
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert torch.equal(values, expected[name].bfloat16()), name
    assert load_published(tmp_path / "cast").dtype == torch.bfloat16


def scaled(path: str, layer: int | None = None):
    """A checkpoint with one leaf, or one layer of it, a tenth larger."""

    def damage(folder: Path, model: mllm.api.Model):
        leaves = flatten_dict(model.loaded.variables["params"], sep="/")
        leaf = leaves[path]
        leaves[path] = leaf * 1.1 if layer is None else leaf.at[layer].multiply(1.1)
        variables = {"params": unflatten_dict(leaves, sep="/")}
        mllm.api.Model(replace(model.loaded, variables=variables)).save(folder)

    return damage


def described(file: str, key: str, value: object):
    """A checkpoint with another value in one of its JSON files."""

    def damage(folder: Path, model: mllm.api.Model):
        model.save(folder)
        setting(file, key, value)(folder)
        (folder / "digests.json").unlink()  # which would name the changed file first

    return damage


STAGES = {
    "tokenizer": ("idefics3", described("tokenizer.json", "model.merges", []), "token ids"),
    "pixel mean": ("llava", described("model.json", "model.vision.mean", [0.5] * 3), "pixels"),
    "patch weights": ("llava", scaled("vision/patch/w"), "patches"),
    "position rule": (
        "fine",
        described("model.json", "model.vision.positions", "transformers-4.40"),
        "positions",
    ),
    "vision layer": ("llava", scaled("vision/layers/fc2/w", 1), "features"),
    "projector": ("llava", scaled("projector/fc1/b"), "image tokens"),
    "end of rows": ("llava_next", scaled("newline"), "newline"),
    "canvases": ("llava_next", described("processor.json", "grids", [[1, 3], [3, 3]]), "token ids"),
    "gated connector": ("idefics2", scaled("connector/gate/w"), "image tokens"),
    "resampler": ("idefics2", scaled("resampler/layers/v/w", 1), "image tokens"),
    "connector": ("idefics3", scaled("connector/w"), "image tokens"),
    "embedding": ("llava", scaled("decoder/embed"), "embeddings"),
    "decoder layer": ("idefics3", scaled("decoder/layers/o/w", 1), "logits"),
    "head": ("llava", scaled("decoder/head"), "logits"),
}


@pytest.mark.parametrize("name", STAGES)
def test_verify_names_the_first_stage_that_differs(hf_folder, our_folder, tmp_path, capsys, name):
    family, damage, stage = STAGES[name]
    damage(tmp_path / "ours", mllm.load(our_folder(family)))
    message = f"ours: '{stage}' is the first stage that differs from transformers on"
    with pytest.raises(ValueError, match=message):
        verify.verify(hf_folder(family), tmp_path / "ours")
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("DIFFERS") for line in lines] == [False] * (len(lines) - 1) + [True]


def adapted(folder: Path) -> mllm.api.Model:
    """The model of a folder under an adapter whose update is not zero."""
    loaded = mllm.load(folder).loaded
    options = {"rank": 2, "targets": "decoder/layers/(q|down)|projector/fc1"}
    shapes = jax.eval_shape(
        lambda: init_lora(loaded.variables["params"], jax.random.key(0), **options)
    )
    rng = np.random.default_rng(0)
    lora = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32) / 4, shapes)
    return mllm.api.Model(
        replace(loaded, variables=loaded.variables | {"lora": lora}, lora=options)
    )


def test_an_adapter_alone_answers_in_peft_as_with_us(hf_folder, our_folder, tmp_path):
    model = adapted(our_folder("llava"))
    model.save(tmp_path / "run")
    run(tmp_path / "run", tmp_path / "adapter", adapter_for=str(hf_folder("llava")))
    base = load_published(hf_folder("llava"))
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    rng = np.random.default_rng(1)
    ids = np.array([[1, 70, *[published.IMAGE_ID] * 16, *rng.integers(60, 300, 9)]])
    pixels = rng.normal(size=(1, 3, 28, 28)).astype(np.float32)
    with torch.no_grad():
        there = theirs(input_ids=torch.as_tensor(ids), pixel_values=torch.as_tensor(pixels)).logits
        with theirs.disable_adapter():
            without = theirs(
                input_ids=torch.as_tensor(ids), pixel_values=torch.as_tensor(pixels)
            ).logits
    here = model.logits(ids, pixels)
    np.testing.assert_allclose(here, there, atol=1e-4 * float(there.abs().max()))
    assert np.abs(here - without.numpy()).max() > 0.1


def test_an_adapter_is_not_written_for_other_weights(hf_folder, our_folder, tmp_path):
    loaded = adapted(our_folder("llava")).loaded
    leaves = flatten_dict(loaded.variables["params"], sep="/")
    leaves["decoder/norm/scale"] = leaves["decoder/norm/scale"].at[3].add(0.5)
    variables = {**loaded.variables, "params": unflatten_dict(leaves, sep="/")}
    mllm.api.Model(replace(loaded, variables=variables)).save(tmp_path / "run")
    message = r"'decoder/norm/scale': expected the weights that the adapter applies to"
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", tmp_path / "adapter", adapter_for=str(hf_folder("llava")))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def mllmu_like() -> mllm.api.Model:
    """The model of configs/mllmu/tiny.py with the tokenizer of the toy."""
    values = tiny.get_config().model.to_dict()
    values["decoder"]["vocab_size"] = 300
    family, config = config_from_dict(values)
    processor = toy.make_processor()
    sizes = {"image_size": config.vision.image_size, "image_tokens": config.image_tokens}
    processor = replace(processor, config=replace(processor.config, **sizes))
    variables = MODELS[family].init(config, jax.random.key(0))
    return mllm.api.Model(mllm.checkpoints.loaded.Loaded(family, config, variables, processor))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: mllm.api.Model(toy.make_model()), id="toy"),
        pytest.param(mllmu_like, id="mllmu", marks=pytest.mark.slow),
    ],
)
def test_a_model_of_ours_answers_in_transformers_as_with_us(tmp_path, make):
    model, folder = make(), tmp_path / "exported"
    model.save(folder, "hf")
    theirs = load_published(folder)
    assert type(theirs) is transformers.LlavaForConditionalGeneration
    processor = transformers.AutoProcessor.from_pretrained(folder)
    rng, file = np.random.default_rng(0), io.BytesIO()
    image = Image.fromarray(rng.integers(0, 256, (50, 70, 3), np.uint8))
    image.save(file, "PNG")
    inputs = processor(text=PROMPT, images=[image], return_tensors="pt")
    ours = model.loaded.processor
    picture = ours.picture(file.getvalue())
    ids = toy.raw_ids(ours, PROMPT, [file.getvalue()])
    assert inputs["input_ids"].tolist() == [ids]
    pixels = np.moveaxis(np.asarray(normalise(model.loaded.config, picture.tiles)), -1, 1)
    np.testing.assert_allclose(pixels, inputs["pixel_values"], atol=1e-6)
    with torch.no_grad():
        there = theirs(**inputs).logits
        replied = theirs.generate(**inputs, max_new_tokens=6, do_sample=False)[0, len(ids) :]
    here = model.logits([ids], pixels)
    np.testing.assert_allclose(here, there, atol=1e-4 * float(there.abs().max()))
    (said,) = model.generate([PROMPT], [file.getvalue()], max_new_tokens=6)
    assert said == processor.tokenizer.decode(replied, skip_special_tokens=True)
    assert mllm.load(folder).generate([PROMPT], [file.getvalue()], max_new_tokens=6) == [said]


def test_what_is_there_stays_as_it_is(hf_folder, our_folder, tmp_path):
    write_text(tmp_path / "there" / "notes.txt", "kept")
    adapted(our_folder("llava")).save(tmp_path / "run")
    for source, options in (
        (hf_folder("llava"), {}),
        (our_folder("llava"), {}),
        (tmp_path / "run", {"adapter_for": "base"}),
    ):
        with pytest.raises(ValueError, match="there: exists already"):
            run(source, tmp_path / "there", **options)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["notes.txt"]


def test_what_has_no_weights_of_its_own_is_not_exported(hf_folder, our_folder, tmp_path):
    loaded = mllm.load(our_folder("llava")).loaded
    mllm.api.Model(replace(loaded, system_prompt="Say nothing.")).save(tmp_path / "prompting")
    with pytest.raises(ValueError, match=r"method is its system prompt.*export the parent"):
        run(tmp_path / "prompting", tmp_path / "to")
    with pytest.raises(ValueError, match="has no adapter of its own"):
        run(our_folder("llava"), tmp_path / "to", adapter_for="base")
    assert [path.name for path in tmp_path.iterdir()] == ["prompting"]


@pytest.mark.parametrize("to_ours", [True, False], ids=["into ours", "into Hugging Face's"])
def test_a_stop_leaves_nothing_and_what_a_kill_leaves_is_cleared(
    hf_folder, our_folder, tmp_path, monkeypatch, to_ours
):
    source = hf_folder("llava") if to_ours else our_folder("llava")
    target, reached = tmp_path / "to", []

    def stop(*arguments, **options):
        reached.extend(path for path in tmp_path.rglob("*") if path.is_file())
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        if to_ours:
            broken.setattr(orbax.Checkpoints, "save", stop)
        else:
            broken.setattr(hf, "write_file", stop)
        with pytest.raises(KeyboardInterrupt):
            run(source, target)
    assert reached and not list(tmp_path.iterdir())
    write_text(tmp_path / ".to.writing" / "model.json", "{")
    run(source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["to"]
    assert mllm.load(target).loaded.digest() == mllm.load(source).loaded.digest()


def each_file(source: Path, root: Path) -> Path:
    """A folder of links to the files of another."""
    (root / "view").mkdir()
    for path in source.iterdir():
        (root / "view" / path.name).symlink_to(path)
    return root / "view"


def hub(source: Path, root: Path) -> Path:
    """A snapshot in a cache as that of the Hub: links to files that are named by their content."""
    blobs, snapshot = root / "models--x--y/blobs", root / "models--x--y/snapshots/abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        blob, place = blobs / f"{number:040x}", snapshot / path.relative_to(source)
        shutil.copy(path, blob)
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(os.path.relpath(blob, place.parent))
    return snapshot


def link(source: Path, root: Path) -> Path:
    (root / "link").symlink_to(source)
    return root / "link"


@pytest.mark.parametrize("view", [each_file, hub, link])
def test_from_links_and_to_links(hf_folder, our_folder, tmp_path, view):
    source = view(hf_folder("llava"), tmp_path)
    (tmp_path / "disk/empty").mkdir(parents=True)
    (tmp_path / "runs").symlink_to("disk")
    (tmp_path / "to empty").symlink_to("disk/empty")
    (tmp_path / "to new").symlink_to("disk/new")
    run(source, tmp_path / "to empty")
    run(source, tmp_path / "runs/ours")
    run(tmp_path / "to empty", tmp_path / "to new")
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["empty", "new", "ours"]
    assert all((tmp_path / name).is_symlink() for name in ("runs", "to empty", "to new"))
    for folder in ("to empty", "disk/empty", "runs/ours", "to new"):
        found = mllm.load(tmp_path / folder).loaded.digest()
        assert found == mllm.load(our_folder("llava")).loaded.digest()
    assert small_files(tmp_path / "disk/new") == small_files(hf_folder("llava"))


def test_a_target_that_is_there_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    write_text(tmp_path / "there" / "notes.txt", "kept")
    monkeypatch.setattr(convert, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(ValueError, match="there: exists already; name a new folder"):
        run(tmp_path / "from", tmp_path / "there")


def test_verify_asks_by_the_chat_template_of_the_folder(hf_folder, tmp_path, capsys):
    """Also where the template itself writes the token that begins a row."""
    folder = tmp_path / "folder"
    shutil.copytree(hf_folder("llava"), folder)
    write_text(folder / "chat_template.jinja", TEMPLATE)
    run(folder, tmp_path / "ours", verify=True)
    out = capsys.readouterr().out
    assert "conversations are written by its own chat template" in out
    assert out.count(" equal") == 2 * 8 and "DIFFERS" not in out


@pytest.mark.slow
def test_what_is_written_is_verified(our_folder, tmp_path, capsys):
    run(our_folder("idefics3"), tmp_path / "hf", verify=True)
    out = capsys.readouterr().out
    assert out.count(" equal") == 2 * 9 and "DIFFERS" not in out


@pytest.mark.slow
def test_the_command(commands, hf_folder, our_folder, tmp_path):
    done = commands.run("convert", "--from", our_folder("idefics3"), "--to", tmp_path / "hf")
    assert done.returncode == 0, done.stderr
    shutil.copytree(hf_folder("llava"), tmp_path / "broken")
    setting("config.json", "text_config.hidden_act", "mish")(tmp_path / "broken")
    found = commands.refused("convert", "--from", tmp_path / "broken", "--to", tmp_path / "to")
    assert "config.json: key 'text_config.hidden_act': expected one of" in found
    assert len(found.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "hf"]
