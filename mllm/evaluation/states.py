"""What the layers of a model hold while it reads conversations, averaged over some of their tokens.

N conversations, P places in each, R rows of a program, T tokens, L layers, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from mllm.data.conversation import Turn
from mllm.data.encoded import Encoded
from mllm.decoding.split import decoding_program
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import Part, lay_out_parts
from mllm.evaluation.runner import LocalModel, with_system
from mllm.models.states import layer_states

ROWS = 16  # conversations of a program


@dataclass(frozen=True)
class Reading:
    """A conversation and the places whose states are wanted.

    Attributes:
      places: (first token, token after the last one) of each.
    """

    encoded: Encoded
    places: tuple[tuple[int, int], ...]


@decoding_program()
def pooled_states(model, config, variables: dict, batch: dict, weights: jax.Array) -> jax.Array:
    """Return float32[R, P, L + 1, D], weighted sums of the ``layer_states`` of a batch.

    Args:
      weights: float32[R, P, T].
    """
    states = layer_states(model, config, variables, batch).astype(jnp.float32)
    return jnp.einsum("rpt,lrtd->rpld", weights, states)


def encoded_prompts(model: LocalModel, prompts: Sequence[Sequence[Turn]]) -> list[Encoded]:
    """Return conversations as the model reads them, up to the place where its reply begins."""
    loaded = model.loaded
    return [
        loaded.processor.encode(with_system(tuple(turns), loaded.system_prompt), generate=True)
        for turns in prompts
    ]


def media_place(encoded: Encoded) -> tuple[int, int]:
    """Return where the first medium of a conversation stands.

    Raises:
      ValueError: it shows none.
    """
    spans = [span for span in encoded.spans if span.media == 0]
    if not spans:
        raise ValueError("the conversation shows no medium; ask for the place of a text instead")
    return spans[0].start, spans[-1].start + spans[-1].length


def last_place(encoded: Encoded) -> tuple[int, int]:
    """Return where the last token stands, after which the reply begins."""
    return len(encoded.ids) - 1, len(encoded.ids)


def differing_places(prompts: Sequence[Encoded]) -> list[tuple[int, int]]:
    """Return where each of several conversations differs from the others: what lies between the
    tokens with which all begin and those with which all end.

    Raises:
      ValueError: two of them are equal, or one is the beginning or the end of all others.
    """
    contents = [prompt.content for prompt in prompts]
    if len(set(contents)) < len(contents) or len(contents) < 2:
        raise ValueError(f"{len(contents)} conversations, expected at least two that all differ")
    first = _common(contents)
    last = _common([content[first:][::-1] for content in contents])
    places = [(first, len(content) - last) for content in contents]
    if any(start >= end for start, end in places):
        raise ValueError(
            "a conversation is the beginning and the end of the others, so nothing in it is its "
            "own; give texts of which none contains all of another"
        )
    return places


def _common(contents: Sequence[Sequence[int]]) -> int:
    """Return how many first tokens all share."""
    count = 0
    for tokens in zip(*contents, strict=False):
        if len(set(tokens)) > 1:
            break
        count += 1
    return count


def read_states(model: LocalModel, readings: Sequence[Reading]) -> np.ndarray:
    """Return float32[N, P, L + 1, D], the mean states of each place after each layer; the first are
    those of the embeddings.

    Raises:
      ValueError: the readings have different numbers of places, or there is none.
    """
    counts = sorted({len(reading.places) for reading in readings})
    if len(counts) != 1 or not counts[0]:
        raise ValueError(f"readings with {counts} places, expected one number above 0")
    calls = Calls(model.loaded, model.features)
    # Like lengths run together, the longest first, so that a batch is as wide as its first row.
    order = sorted(range(len(readings)), key=lambda n: -len(readings[n].encoded.ids))
    found: list[np.ndarray] = [np.empty(0)] * len(readings)
    for first in range(0, len(order), ROWS):
        chosen = order[first : first + ROWS]
        rows = [readings[n] for n in chosen]
        rows += [rows[-1]] * (ROWS - len(rows))
        batch = lay_out_parts(calls, [Part(r.encoded, 0, len(r.encoded.ids)) for r in rows])
        weights = np.zeros((ROWS, counts[0], batch["tokens"].shape[1]), np.float32)
        for row, reading in enumerate(rows):
            for place, (start, end) in enumerate(reading.places):
                weights[row, place, start:end] = 1 / (end - start)
        placed = calls.place({"batch": batch, "weights": weights})
        states = calls.fetch(calls.run(pooled_states, **placed))
        for number, state in zip(chosen, states, strict=False):
            found[number] = state
    return np.stack(found)
