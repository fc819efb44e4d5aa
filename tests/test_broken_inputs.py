"""Broken folders, prompts and images through the public interface: each is refused by name, before
anything is compiled.
"""

import io
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import published_folders as published
import pytest
import toy
import transformers
from broken_folders import FOLDERS, images
from damage import both, remove
from PIL import Image

import mllm
from mllm.checkpoints.folder import Loaded, save_model
from mllm.checkpoints.peft import write_adapter
from mllm.checkpoints.tables import TABLES
from mllm.data import conversation
from mllm.files import write_text
from mllm.models.media import normalise
from mllm.ops.lora import init_lora

PROMPT = "USER: <image>\nWho is it?\nASSISTANT:"
TEXT_PROMPT = "USER: Where was Ada born?\nASSISTANT:"


class Asked(NamedTuple):
    """What is asked of which good model, and what it answers."""

    call: Callable
    message: str
    error: type = ValueError
    kind: str = "llava"


def png(width: int, height: int, claimed: tuple[int, int] | None = None) -> bytes:
    """A picture; its header may claim another size."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "PNG")
    content = bytearray(file.getvalue())
    if claimed:
        content[16:24] = struct.pack(">II", *claimed)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


def jpeg(part: float) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()[: int(part * len(file.getvalue()))]


def show(data: bytes, prompt: str = PROMPT) -> Callable:
    return lambda model: model.generate([prompt], [data], max_new_tokens=2)


PIXELS = np.zeros((1, 3, 28, 28), np.float32)
IDS = [[5, *[3] * 16, 6]]
RAGGED = np.ones((1, 1, 3, 28, 28), np.float32)
CORNER = np.ones((1, 1, 28, 28))
CORNER[..., 5, 5] = 0
ASKED = {
    "no image": Asked(show(b""), r"image 0: cannot be decoded .* in 0 bytes"),
    "a page": Asked(show(b"<html>"), r"image 0: cannot be decoded .* in 6 bytes"),
    "half a JPEG": Asked(show(jpeg(0.5)), r"image 0: cannot be decoded .*truncated"),
    "a text for an image": Asked(show("portrait.png"), r"image 0: expected the bytes .* found str"),
    "a path for an image": Asked(
        show(Path("portrait.png")), r"image 0: expected the bytes .* found PosixPath"
    ),
    "claims to be huge": Asked(
        show(png(2, 2, (60000, 60000))), r"3600000000 pixels.*at most 64000000"
    ),
    "far too wide": Asked(
        show(png(20000, 1)), r"20000x1 pixels would need a canvas of 20000x20000", kind="padded"
    ),
    "image mark without image": Asked(
        lambda m: m.generate([PROMPT], None, max_new_tokens=2), r"prompt 0: 1 times <image>.* 0 im"
    ),
    "image without mark": Asked(show(png(9, 9), TEXT_PROMPT), r"prompt 0: 0 times <image>.* 1 im"),
    "images of another count": Asked(
        lambda m: m.generate([PROMPT], [], max_new_tokens=2), r"1 prompts but 0 entries of images"
    ),
    "one prompt": Asked(
        lambda m: m.generate(PROMPT, None, max_new_tokens=2),
        r"prompts: expected a list of texts",
    ),
    "too long": Asked(
        lambda m: m.generate(["Ada " * 300], None, max_new_tokens=2),
        r"prompt 0.* has 602 tokens and needs 2 more .*room for 512: shorten the text",
    ),
    "no new tokens": Asked(
        lambda m: m.generate([TEXT_PROMPT], None, max_new_tokens=0), r"max_new_tokens.*found 0"
    ),
    "negative temperature": Asked(
        lambda m: m.generate([TEXT_PROMPT], None, max_new_tokens=2, temperature=-1),
        r"temperature.*found -1",
    ),
    "no choices": Asked(
        lambda m: m.score([TEXT_PROMPT], None, [[]]), r"choices of prompt 0: .* found \[\]"
    ),
    "no lists of choices": Asked(lambda m: m.score([TEXT_PROMPT], None, []), r"1 prompts but 0"),
    "an empty choice": Asked(
        lambda m: m.score([TEXT_PROMPT], None, [["a", ""]]), r"\['a', ''\]: each must have"
    ),
    "choices a word": Asked(lambda m: m.score([TEXT_PROMPT], None, ["ab"]), r"choices.*list.*'ab'"),
    "pixels of three axes": Asked(
        lambda m: m.logits(IDS, PIXELS[0]), r"pixel_values: expected \[N, 3, H, W\], found .*3, 28"
    ),
    "pixels with channels last": Asked(
        lambda m: m.logits(IDS, np.moveaxis(PIXELS, 1, -1)), r"pixel_values: expected \[N, 3"
    ),
    "pixels of another size": Asked(
        lambda m: m.logits(IDS, PIXELS[..., :14]), r"pixel_values: expected images of 28 x 28"
    ),
    "pixels of four axes": Asked(
        lambda m: m.logits([[5, 3, 3, 3, 3]], RAGGED[0]), r"\[B, I, 3, H, W\]", kind="idefics2"
    ),
    "a mask with a hole": Asked(
        lambda m: m.logits([[5, 3, 3, 3, 3]], RAGGED, pixel_attention_mask=CORNER),
        r"pixel_attention_mask: expected rectangles",
        kind="idefics2",
    ),
    "a mask of another size": Asked(
        lambda m: m.logits([[5, 3, 3, 3, 3]], RAGGED, pixel_attention_mask=CORNER[..., :14]),
        r"pixel_attention_mask: expected shape \(1, 1, 28, 28\), found \(1, 1, 28, 14\)",
        kind="idefics2",
    ),
    "tiles of another size": Asked(
        lambda m: m.logits([[5, 3, 3, 3, 3]], RAGGED[..., :14]),
        r"pixel_values: expected images of 28 x 28, found \(28, 14\)",
        kind="idefics3",
    ),
    "too few image tokens": Asked(
        lambda m: m.logits([[5, 3, 3, 6]], PIXELS), r"row 0: 2 image tokens, expected runs of 16"
    ),
    "image tokens without pixels": Asked(
        lambda m: m.logits(IDS), r"image tokens for \[1\] images in the rows, but 0 images"
    ),
    "ids of one axis": Asked(lambda m: m.logits([5, 6]), r"input_ids: expected \[B, T\], found"),
    "ids too large": Asked(
        lambda m: m.logits([[5, 340]]), r"input_ids: expected ids from 0 to 339, found 340"
    ),
    "ids negative": Asked(
        lambda m: m.logits([[5, -200]]), r"input_ids: expected ids from 0 to 339, found -200"
    ),
    "mask of another length": Asked(
        lambda m: m.logits([[5, 6]], attention_mask=[[1]]), r"attention_mask: expected .*\(1, 2\)"
    ),
    "unknown media": Asked(
        lambda m: m.logits(IDS, PIXELS, image_sizes=[[28, 28]]), r"\['image_sizes'\] are unknown"
    ),
    "text without tokenizer": Asked(
        lambda m: m.generate([TEXT_PROMPT], None, max_new_tokens=1),
        r"tokenizer.json: no such file",
        FileNotFoundError,
        "no tokenizer",
    ),
    "text without image processor": Asked(
        lambda m: m.generate([TEXT_PROMPT], None, max_new_tokens=1),
        r"preprocessor_config.json: no such file",
        FileNotFoundError,
        "no image processor",
    ),
    "save to no new folder": Asked(
        lambda m: m.save("full"), r"full: exists already; .* a new folder"
    ),
    "export to no new folder": Asked(
        lambda m: m.save("full", "hf"), r"full: exists already; .* a new folder"
    ),
    "save as what": Asked(lambda m: m.save("x", "h5"), r"unknown format 'h5' .*hf, orbax"),
    "export of pooled tokens": Asked(
        lambda m: m.save("x", "hf"), r"projector.pool: found 2, expected 1", kind="pooled"
    ),
}
ALTERED = {  # of llava, and good all the same
    "no tokenizer": remove("tokenizer.json"),
    "no image processor": remove("processor_config.json"),
    "padded": both(images("image_processor_type", "LlavaImageProcessor"), images("do_pad", True)),
}
CASES = FOLDERS | ASKED


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """name -> folder of a good model, written when it is first asked for."""
    root, folders = tmp_path_factory.mktemp("good"), {}

    def get(kind: str) -> Path:
        if kind not in folders:
            folders[kind] = root / kind
            write_good(kind, root / kind, get)
        return folders[kind]

    return get


def write_good(kind: str, folder: Path, get: Callable[[str], Path]) -> None:
    if kind in published.FAMILIES:
        published.write(kind, folder)
    elif kind == "ours":
        save_model(folder, toy.make_model())
    elif kind == "pooled":
        save_model(folder, pooled())
    elif kind in ALTERED:
        shutil.copytree(get("llava"), folder)
        ALTERED[kind](folder)
    else:
        params = mllm.load(get("llava")).loaded.variables["params"]
        lora = init_lora(params, jax.random.key(0), rank=2, targets="decoder/layers/q")
        write_adapter(folder, lora, TABLES["llava"], str(get("llava")))


def pooled() -> Loaded:
    """A LLaVA that averages four patches into a token, as none of Hugging Face does."""
    model = toy.make_model()
    config = replace(model.config, projector=replace(model.config.projector, pool=2))
    processor = replace(model.processor, config=replace(model.processor.config, image_tokens=1))
    return replace(model, config=config, processor=processor)


@pytest.fixture(scope="module")
def model(good):
    """name -> the good model, loaded once."""
    return cache(lambda kind: mllm.load(good(kind)))


@pytest.fixture
def compiled():
    """The compilations that happen while a test runs."""
    events: list[str] = []

    def watch(event: str, duration: float, **_):
        if "backend_compile" in event:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(watch)
    yield events
    jax.monitoring.unregister_event_duration_listener(watch)


@pytest.mark.parametrize("name", CASES)
def test_what_is_broken_is_named_before_anything_is_compiled(
    name, good, model, compiled, tmp_path, monkeypatch
):
    case = CASES[name]
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "full" / "notes.txt", "kept")
    if isinstance(case, Asked):
        asked = model(case.kind)
        compiled.clear()
        with pytest.raises(case.error, match=case.message):
            case.call(asked)
    else:
        folder = tmp_path / "model"
        shutil.copytree(good(case.kind), folder)
        case.damage(folder)
        compiled.clear()
        with pytest.raises(case.error, match=case.message) as refusal:
            mllm.load(folder)
        assert str(folder) in str(refusal.value)
    assert not compiled
    assert [p.name for p in tmp_path.rglob("*") if not p.is_relative_to(tmp_path / "model")] == [
        "full",
        "notes.txt",
    ]


def encoded(width: int, height: int) -> bytes:
    """A picture of noise as PNG."""
    file, rng = io.BytesIO(), np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def animated() -> bytes:
    """A GIF of a red and a green picture."""
    file = io.BytesIO()
    red, green = (Image.new("RGB", (40, 30), color) for color in ("red", "green"))
    red.save(file, "GIF", save_all=True, append_images=[green])
    return file.getvalue()


ODD = {
    "one pixel": encoded(1, 1),
    "one row": encoded(20000, 1),
    "one column": encoded(1, 300),
    "animation": animated(),
}


@pytest.mark.parametrize("kind", published.FAMILIES)
@pytest.mark.parametrize("name", ODD)
def test_odd_pictures_are_taken_as_the_published_processors_take_them(kind, name, good, model):
    processor, config = model(kind).loaded.processor, model(kind).loaded.config
    image = Image.open(io.BytesIO(ODD[name]))
    theirs = transformers.AutoProcessor.from_pretrained(good(kind))
    inputs = theirs(text=PROMPT, images=[image.convert("RGB")], return_tensors="np")
    picture = processor.picture(ODD[name])
    assert toy.raw_ids(processor, PROMPT, [ODD[name]]) == inputs["input_ids"][0].tolist()
    pixels = inputs["pixel_values"]
    tiles = zip(picture.tiles, picture.extents, pixels.reshape(-1, *pixels.shape[-3:]), strict=True)
    for tile, (height, width), expected in tiles:
        found = np.moveaxis(np.asarray(normalise(config, tile)), -1, 0)[:, :height, :width]
        np.testing.assert_allclose(found, expected[:, :height, :width], atol=1e-5)


@pytest.mark.parametrize("kind", published.FAMILIES)
def test_special_tokens_in_a_question_stay_text(kind, model):
    processor = model(kind).loaded.processor
    asked = "Is <image> a word, or </s>, or <fake_token_around_image>?"
    shown = conversation.image(encoded(40, 40))
    plain, ids = (
        list(processor.encode([conversation.user(shown, text)], generate=True).ids)
        for text in ("Is it?", asked)
    )
    for token in (processor.image_id, processor.eos_id, published.SPECIAL.index("</s>")):
        assert ids.count(token) == plain.count(token)
    assert asked in processor.tokenizer.decode(ids, skip_special_tokens=True)
