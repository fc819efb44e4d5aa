"""A model that reads pictures under instructions is loaded, asked, scored and saved like any other;
the instruction is the text of the prompt.
"""

import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax
from toy import make_fused, png

import mllm
from mllm.checkpoints.folder import save_model
from mllm.data.conversation import raw_prompt

pytestmark = pytest.mark.thorough

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 16, 3), np.uint8)
PICTURE = png(Image.fromarray(PIXELS))
PROMPT = "USER: <image>Who is it? ASSISTANT:"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "ours"
    save_model(folder, make_fused(4))
    return mllm.load(folder)


@pytest.fixture(scope="module")
def inputs(model):
    processor = model.loaded.processor
    encoded = processor.encode([raw_prompt(PROMPT, [PICTURE])], generate=True)
    under = processor.instruction_ids(encoded.media[0])
    assert encoded.media[0].instruction == "USER: Who is it? ASSISTANT:"
    canvas = np.moveaxis(processor.prepare(PICTURE).tiles[0], -1, 0) / 255.0
    return {
        "input_ids": [encoded.ids],
        "pixel_values": canvas[None],
        "image_sizes": [[10, 16]],
        "instructions": [[*under, -1, -1]],
    }


@pytest.mark.slow
def test_choices_are_scored_as_logits_say(model, inputs):
    (found,) = model.score([PROMPT], [PICTURE.data], [[" London", "x"]])
    ids = model.loaded.processor.continuation(PROMPT, " London")
    whole = {**inputs, "input_ids": [[*inputs["input_ids"][0], *ids]]}
    table = log_softmax(model.logits(**whole)[0].astype("float64"), axis=-1)
    start = len(inputs["input_ids"][0])
    places = np.arange(start, start + len(ids))
    np.testing.assert_allclose(found[0], table[places - 1, ids].sum(), rtol=1e-4)


@pytest.mark.slow
def test_another_instruction_gives_other_logits_for_the_same_tokens(model, inputs):
    other = {**inputs, "instructions": [model.loaded.processor.tokenizer.encode("Paris").ids]}
    assert np.abs(model.logits(**inputs) - model.logits(**other)).max() > 1e-3


@pytest.mark.parametrize("name", ["image_sizes", "instructions"])
def test_an_input_that_is_missing_is_named(model, inputs, name):
    without = {key: value for key, value in inputs.items() if key != name}
    with pytest.raises(ValueError, match=rf"{name}: expected shape .* for 1 images, found None"):
        model.logits(**without)


def test_it_has_no_format_of_hugging_face(model, tmp_path):
    with pytest.raises(ValueError, match="family 'fused' has no format of Hugging Face"):
        model.save(tmp_path / "hf", format="hf")
    model.save(tmp_path / "ours")
    again = mllm.load(tmp_path / "ours")
    assert again.loaded.digest() == model.loaded.digest()
    assert again.loaded.processor.config == model.loaded.processor.config
