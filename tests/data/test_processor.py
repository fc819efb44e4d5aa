"""Text and images on their way into a row."""

import io

import numpy as np
import pytest
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mllm.data.images import augment, decode, to_pixels
from mllm.data.processor import Processor, ProcessorConfig


@pytest.fixture(scope="module")
def processor():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["USER: Where was Ada born?\nASSISTANT: London"], trainer)
    return Processor(ProcessorConfig(image_tokens=4, image_size=16), tokenizer)


@pytest.mark.parametrize("image", [True, False])
def test_a_prompt_in_two_parts_equals_the_prompt_in_one(processor, image):
    prefix, suffix = processor.prompt("Where was Ada born?", [(0, 0)] * image)
    mark = "<image>\n" if image else ""
    text = f"USER: {mark}Where was Ada born?\nASSISTANT:"
    assert prefix + suffix == processor.whole_prompt(text, [(0, 0)] * image)
    assert prefix.count(processor.image_id) == (4 if image else 0)


def test_special_tokens_typed_by_a_user_stay_text(processor):
    prefix, suffix = processor.prompt("a <image> b </s> <s>", [(0, 0)])
    assert suffix.count(processor.image_id) == 0 and processor.eos_id not in suffix
    assert processor.decode(suffix).startswith("a <image> b </s> <s>")
    assert prefix.count(processor.image_id) == 4


def test_answers_come_back(processor):
    ids = processor.answer("Zürich, 1848")
    assert ids[-1] == processor.eos_id and processor.decode(ids) == "Zürich, 1848"


def test_images_and_marks_must_match(processor):
    with pytest.raises(ValueError, match="prompt: 1 times <image>, but 2 images"):
        processor.whole_prompt("USER: <image>\nHello", [(0, 0)] * 2)


def test_save_and_load_keep_the_digest(processor, tmp_path):
    processor.save(tmp_path)
    assert Processor.load(tmp_path).digest == processor.digest
    (tmp_path / "processor.json").write_text('{"imagesize": 3}')
    with pytest.raises(ValueError, match=r"processor.json.*imagesize"):
        Processor.load(tmp_path)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_decoding_turns_flattens_and_refuses():
    picture = Image.new("RGB", (20, 10), "red")
    turned = Image.Exif()
    turned[0x0112] = 6  # stored on its side
    assert decode(encoded(picture, "JPEG", exif=turned)).size == (10, 20)
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert decode(encoded(clear)).getpixel((4, 4)) == (255, 255, 255)
    assert decode(encoded(picture.convert("CMYK"), "JPEG")).mode == "RGB"
    with pytest.raises(ValueError, match="portrait 7: cannot be decoded"):
        decode(encoded(picture)[:40], "portrait 7")


@pytest.mark.parametrize("size", [(336, 336), (50, 37), (37, 50), (20, 16), (1, 1)])
def test_pixels_equal_the_published_clip_processor(size):
    transformers = pytest.importorskip("transformers")
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    published = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 16},
        crop_size={"height": 16, "width": 16},
        do_rescale=False,
        do_normalize=False,
    )(picture)["pixel_values"][0]
    ours = to_pixels(picture, 16).astype(int)
    assert np.abs(ours - np.moveaxis(np.asarray(published), 0, -1).astype(int)).max() <= 1


def test_views_differ_by_draw_and_repeat_by_seed():
    picture = Image.effect_noise((64, 64), 60).convert("RGB")
    view = lambda seed: augment(picture, 32, np.random.default_rng(seed))  # noqa: E731
    assert view(0).shape == (32, 32, 3) and view(0).dtype == np.uint8
    np.testing.assert_array_equal(view(1), view(1))
    assert (view(1) != view(2)).any()
