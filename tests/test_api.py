"""What ``import mllm`` offers, on a folder of ours."""

import io
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from toy import make_drawer, make_model, raw_ids

import mllm
from mllm.checkpoints.folder import save_model
from mllm.checkpoints.loaded import Loaded, NoProcessor
from mllm.data.processor import Processor
from mllm.models import idefics2
from mllm.models.decoder import DecoderConfig
from mllm.models.idefics2 import ConnectorConfig, Idefics2Config
from mllm.models.media import normalise
from mllm.models.perceiver import ResamplerConfig
from mllm.models.vit import VisionConfig
from mllm.parallel.mesh import make_mesh
from mllm.parallel.rules import shardings, spec_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "toy"
    save_model(path, make_model(4))
    return path


@pytest.fixture(scope="module")
def model(folder):
    return mllm.load(folder)


def picture(color) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16), color).save(buffer, "PNG")
    return buffer.getvalue()


PROMPTS = ["USER: <image>\nWho is it?\nASSISTANT:", "USER: Where was Ada born?\nASSISTANT:"]


@pytest.mark.thorough
def test_a_reply_ends_at_a_text_or_a_special_token(model):
    """Whether the caller names it or the model's folder does."""

    def say(model=model, **options):
        return model.generate(PROMPTS[1:], None, max_new_tokens=12, **options)[0]

    whole, processor = say(), model.loaded.processor
    mark = whole[4:6]
    before = whole[: whole.find(mark)]
    assert say(stop=mark) == say(stop=["never", mark]) == before != whole
    config = replace(processor.config, stop=(mark,))
    stopping = Processor(config, processor.tokenizer)
    assert say(mllm.Model(replace(model.loaded, processor=stopping))) == before
    ids = processor.tokenizer.encode("a b<image>c </s>").ids
    assert processor.until(ids, ["</s>", "b"]) == ids[:-1]
    assert processor.until(ids, ["<image>"]) == ids[: ids.index(processor.image_id)]


@pytest.mark.thorough
def test_generation_equals_greedy_logits(model):
    images = [picture("red"), None]
    texts = model.generate(PROMPTS, images, max_new_tokens=5)
    processor = model.loaded.processor
    for prompt, image, text in zip(PROMPTS, images, texts, strict=True):
        asked = raw_ids(processor, prompt, [] if image is None else [image])
        ids = list(asked)
        pixels = None
        if image is not None:
            normal = normalise(model.loaded.config, processor.picture(image).tiles)
            pixels = np.moveaxis(np.asarray(normal), -1, 1)
        for _ in range(5):
            ids.append(int(model.logits([ids], pixels)[0, -1].argmax()))
            if ids[-1] == processor.eos_id:
                break
        new = ids[len(asked) :]
        expected = processor.tokenizer.decode([i for i in new if i != processor.eos_id])
        assert text == expected


def test_scores_add_up_the_logits(model):
    choices = [["London", "Paris by night"], ["Ada"]]
    scores = model.score(PROMPTS, [picture("blue"), None], choices)
    processor = model.loaded.processor
    ids = raw_ids(processor, PROMPTS[1])
    answer = processor.tokenizer.encode("Ada", add_special_tokens=False).ids
    table = jax.nn.log_softmax(model.logits([ids + answer])[0])
    expected = sum(table[len(ids) - 1 + i, token] for i, token in enumerate(answer))
    np.testing.assert_allclose(scores[1], [expected], rtol=1e-5)
    assert [len(s) for s in scores] == [2, 1]


def test_padding_on_either_side_changes_no_logits(model):
    ids = raw_ids(model.loaded.processor, PROMPTS[1])
    plain = model.logits([ids])[0]
    for left in (True, False):
        pad, ones = [0] * 3, [1] * len(ids)
        row = pad + ids if left else ids + pad
        mask = [0] * 3 + ones if left else ones + [0] * 3
        padded = model.logits([row], attention_mask=[mask])[0]
        np.testing.assert_allclose(padded[3:] if left else padded[:-3], plain, atol=1e-5)


def test_a_saved_model_is_the_same_model(model, tmp_path):
    model.save(tmp_path / "copy")
    again = mllm.load(tmp_path / "copy")
    np.testing.assert_array_equal(again.logits([[5, 6, 7]]), model.logits([[5, 6, 7]]))


@pytest.mark.parametrize("shape", [(8, 1, 1), (1, 8, 1), (2, 2, 2), (1, 4, 2)])
def test_a_model_over_eight_devices_gives_the_same_logits(folder, model, shape):
    mesh = make_mesh(*shape)
    spread = mllm.load(folder, mesh=mesh)
    ids = [raw_ids(model.loaded.processor, PROMPTS[1])]
    np.testing.assert_allclose(spread.logits(ids), model.logits(ids), atol=2e-5)


def test_every_parameter_has_a_rule():
    mesh = make_mesh(2, 2, 2)
    assert jax.tree.leaves(shardings(make_model().variables, mesh))
    with pytest.raises(ValueError, match="no sharding rule matches parameter 'decoder/router/w'"):
        spec_of("decoder/router/w", (4, 4), mesh)
    with pytest.raises(ValueError, match="does not fit 8 devices"):
        make_mesh(3, 1, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: m.generate(PROMPTS[1:], None, max_new_tokens=3000),
            "has 20 tokens and needs 3000 more for the reply; there is room for 2048",
        ),
        (
            lambda m: m.generate(PROMPTS[:1], [[picture("red")] * 2], max_new_tokens=1),
            "1 times <image>, but 2 images",
        ),
        (
            lambda m: m.generate(PROMPTS[:1], [b"no image"], max_new_tokens=1),
            "image 0: cannot be decoded",
        ),
        (
            lambda m: m.generate([""], [picture("red")], max_new_tokens=1),
            "0 times <image>, but 1 images",
        ),
        (
            lambda m: m.generate(PROMPTS[1:], None, max_new_tokens=1, stop=["a", ""]),
            r"stop: expected a tuple of texts, none empty, found \('a', ''\)",
        ),
        (lambda m: m.score(PROMPTS, None, [["a"]]), "2 prompts but 1 lists of choices"),
        (lambda m: m.score(PROMPTS[1:], None, [[""]]), "at least one token"),
        (lambda m: m.logits([[5]], image_sizes=1), "unknown to family 'llava'"),
        (lambda m: m.logits([[3, 3]]), "2 image tokens, expected runs of 4"),
        (lambda m: m.save("x", format="npz"), "unknown format 'npz'"),
    ],
)
def test_wrong_calls_are_explained(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_loading_something_else_than_a_model_is_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        mllm.load(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"expected a folder with config.json .* or a .gguf file"):
        mllm.load(tmp_path)


@pytest.mark.thorough
@pytest.mark.slow
def test_the_rule_for_partial_patches_decides_no_size_of_images():
    """Idefics2 reads images of any size, also by the rule that its successor has."""
    decoder = DecoderConfig(64, 32, layers=1, heads=2, kv_heads=1, head_dim=16, mlp_width=32)
    vision = VisionConfig(
        image_size=28,
        patch_size=7,
        width=16,
        layers=1,
        heads=2,
        mlp_width=32,
        class_token=False,
        drop_first=False,
        ragged=True,
        partial_patches=True,
    )
    resampler = ResamplerConfig(2, 32, layers=1, heads=2, kv_heads=1, head_dim=16, mlp_width=32)
    config = Idefics2Config(decoder, vision, ConnectorConfig(32, 32), resampler)
    variables = idefics2.init(config, jax.random.key(0))
    missing = NoProcessor(Path("tokenizer.json"))
    model = mllm.Model(Loaded("idefics2", config, variables, missing, image_id=3))
    pixels = np.random.default_rng(0).normal(size=(1, 1, 3, 20, 30))
    assert np.isfinite(model.logits([[5, 3, 3, 6]], pixels)).all()


@pytest.mark.thorough
def test_pictures_are_drawn_after_prompts(tmp_path):
    mllm.Model(make_drawer()).save(tmp_path / "drawer")
    model = mllm.load(tmp_path / "drawer")
    prompts = ["USER: red: <image>blue: \nASSISTANT:", "USER: Paris\nASSISTANT:"]
    images = [picture("red"), None]

    def draw(prompts=prompts, images=images, **options):
        return model.draw(prompts, images, **options)

    drawn = draw(seed=3)
    assert [Image.open(io.BytesIO(png)).size for png in drawn] == [(16, 16)] * 2
    assert draw(seed=3) == drawn and draw(seed=4) != drawn
    likeliest = draw(temperature=0.0)
    assert draw(seed=9, top_k=1) == likeliest
    others = ["USER: <image>\nASSISTANT:", "USER:\nASSISTANT:"]
    how = dict(others=others, other_images=[picture("blue"), None], temperature=0.0)
    assert draw(guidance=1.0, **how) == likeliest
    assert len(draw(guidance=9.0, **how)) == 2
    with pytest.raises(ValueError, match="2 prompts but 1 others"):
        draw(others=others[:1], guidance=2.0)
    with pytest.raises(ValueError, match="image 0: cannot be decoded"):
        draw(images=[b"none", None])
    with pytest.raises(ValueError, match="family 'llava' draws no pictures; load"):
        mllm.Model(make_model(0)).draw(["a"])
