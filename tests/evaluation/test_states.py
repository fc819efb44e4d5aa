"""States between layers, read in batches, against one prompt at a time and the model's own end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_listener import as_file, sound
from toy import make_listener

from mllm.data.conversation import audio, user
from mllm.data.rows import lay_out_ids
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import Part, lay_out_parts
from mllm.evaluation.nearest import nearest_words
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.states import (
    Reading,
    differing_places,
    encoded_prompts,
    last_place,
    media_place,
    read_states,
)
from mllm.models.states import embedding_table, layer_states

STATES = jax.jit(layer_states, static_argnums=(0, 1))
TEXTS = ["Who is Ada?", "Who is London Paris?", "Where was Ada born? In the picture?"]
SOUNDS = [audio(as_file(sound(seconds, n))) for n, seconds in enumerate((0.9, 0.3, 0.5))]


@pytest.fixture(scope="module")
def model():
    return make_listener()


def test_the_last_state_is_what_the_head_reads(model):
    """With the final norm, the last of the states are those of ``hidden``."""
    prompts = encoded_prompts(LocalModel(model), [[user(text)] for text in TEXTS])
    batch = lay_out_ids([prompt.ids for prompt in prompts])
    states = STATES(model.model, model.config, model.variables, batch)
    hidden = jax.jit(model.model.hidden, static_argnums=0)
    wanted, _ = hidden(model.config, model.variables, batch)
    assert states.shape == (3, *wanted.shape)
    scale = model.variables["params"]["decoder"]["norm"]["scale"]
    last = states[-1] / jnp.sqrt((states[-1] ** 2).mean(-1, keepdims=True) + 1e-5) * scale
    real = batch["segments"] >= 0
    np.testing.assert_allclose(last[real], wanted[real], atol=2e-5)
    table = np.asarray(model.variables["params"]["decoder"]["embed"])
    np.testing.assert_array_equal(states[0], table[batch["tokens"]])
    split = split_for_decoding(model.variables)
    again = STATES(model.model, model.config, split, batch)
    np.testing.assert_allclose(states, again, atol=1e-6)
    np.testing.assert_array_equal(embedding_table(model.config, split), table)


def alone(model, encoded) -> np.ndarray:
    """The states float[L + 1, T, D] of a conversation in a row of its own."""
    batch = lay_out_parts(Calls(model), [Part(encoded, 0, len(encoded.ids))])
    return np.asarray(STATES(model.model, model.config, model.variables, batch)[:, 0])


@pytest.mark.thorough
@pytest.mark.slow
def test_states_read_together_are_those_of_each_alone(model):
    """More conversations than a program has rows, of unlike lengths, with and without sounds."""
    asked = [[user(text)] for text in TEXTS * 6]
    asked += [[user("Who? ", medium, "Where?")] for medium in SOUNDS]
    local = LocalModel(model)
    prompts = encoded_prompts(local, asked)
    places = [(1, 4)] * 18 + [media_place(prompt) for prompt in prompts[18:]]
    readings = [
        Reading(prompt, (place, last_place(prompt)))
        for prompt, place in zip(prompts, places, strict=True)
    ]
    found = read_states(local, readings)
    assert found.shape == (21, 2, 3, 32) and found.dtype == np.float32
    for number in (0, 2, 17, 18, 19, 20):
        for place, (start, end) in enumerate(readings[number].places):
            wanted = alone(model, prompts[number])[:, start:end].mean(axis=1)
            np.testing.assert_allclose(found[number, place], wanted, rtol=2e-4, atol=2e-4)
    heard = found[18:, 0, 0]
    assert min(np.abs(heard[0] - heard[1]).max(), np.abs(heard[1] - heard[2]).max()) > 1e-3


def test_places_are_where_conversations_differ(model):
    local = LocalModel(model)
    texts = ["Who is Ada?", "Who is London?", "Who is Paris London?"]
    prompts = encoded_prompts(local, [[user(text)] for text in texts])
    said = [
        model.processor.tokenizer.decode(list(prompt.ids[start:end]))
        for prompt, (start, end) in zip(prompts, differing_places(prompts), strict=True)
    ]
    assert [text.strip() for text in said] == ["Ada", "London", "Paris London"]
    heard = encoded_prompts(local, [[user("Who?", medium, "?")] for medium in SOUNDS])
    assert differing_places(heard) == [media_place(prompt) for prompt in heard]
    with pytest.raises(ValueError, match="at least two that all differ"):
        differing_places([prompts[0], prompts[0]])
    with pytest.raises(ValueError, match="the beginning and the end of the others"):
        differing_places(encoded_prompts(local, [[user("Ada")], [user("Ada Ada")]]))
    with pytest.raises(ValueError, match="shows no medium"):
        media_place(prompts[0])
    with pytest.raises(ValueError, match=r"readings with \[1, 2\] places"):
        read_states(local, [Reading(prompts[0], ((0, 1),) * n) for n in (1, 2)])


@pytest.mark.thorough
def test_nearest_words_are_those_of_a_loop(model):
    prompts = encoded_prompts(LocalModel(model), [[user(one, "Who?")] for one in SOUNDS])
    found = nearest_words(LocalModel(model), prompts, "audio", 3)
    table = np.asarray(model.variables["params"]["decoder"]["embed"], np.float64)
    for prompt, near in zip(prompts, found, strict=True):
        start, end = media_place(prompt)
        tokens = alone(model, prompt)[0, start:end]
        assert near.ids.shape == near.cosines.shape == (end - start, 3)
        for token, ids, cosines in zip(tokens, near.ids, near.cosines, strict=True):
            wanted = [row @ token / np.linalg.norm(row) / np.linalg.norm(token) for row in table]
            np.testing.assert_allclose([wanted[i] for i in ids], cosines, atol=1e-4)
            np.testing.assert_allclose(sorted(wanted)[::-1][:3], cosines, atol=1e-4)
    texts = encoded_prompts(LocalModel(model), [[user("Who?")]])
    with pytest.raises(ValueError, match="conversation 0 shows no medium of kind 'audio'"):
        nearest_words(LocalModel(model), texts, "audio", 3)
