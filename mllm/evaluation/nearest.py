"""The words whose embeddings are nearest to the tokens that an encoder makes of a medium.

R rows, I media of a row, N tokens of a medium, D width, V vocabulary, K words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mllm.data.encoded import Encoded
from mllm.decoding.split import decoding_program
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import Part, lay_out_parts
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.states import ROWS
from mllm.models.states import embedding_table


class Near(NamedTuple):
    """Words near the tokens of a medium, the nearest first.

    Attributes:
      ids: i32[N, K]. cosines: float32[N, K].
    """

    ids: np.ndarray
    cosines: np.ndarray


@decoding_program("kind", "count")
def nearest_tokens(
    model, config, variables: dict, media: dict, *, kind: str, count: int
) -> tuple[jax.Array, jax.Array]:
    """Return (ids i32[R, I, N, K], cosines float32[R, I, N, K]) of the embeddings nearest to the
    tokens of media of a kind.
    """
    tokens = model.encode_media(config, variables, media)[kind]["tokens"]
    table = _unit(embedding_table(config, variables))
    cosines, ids = jax.lax.top_k(jnp.einsum("rind,vd->rinv", _unit(tokens), table), count)
    return ids, cosines


def _unit(x: jax.Array) -> jax.Array:
    x = x.astype(jnp.float32)
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1e-12)


def nearest_words(
    model: LocalModel, prompts: Sequence[Encoded], kind: str, count: int
) -> list[Near]:
    """Return the words nearest to the tokens of the first medium of a kind of each conversation.

    Raises:
      ValueError: a conversation shows none.
    """
    calls, found = Calls(model.loaded, model.features), []
    parts = [Part(prompt, 0, len(prompt.ids)) for prompt in prompts]
    for number, part in enumerate(parts):
        if not part.of_kind(kind):
            raise ValueError(f"conversation {number} shows no medium of kind {kind!r}")
    for first in range(0, len(parts), ROWS):
        chosen = parts[first : first + ROWS]
        batch = lay_out_parts(calls, chosen + [chosen[-1]] * (ROWS - len(chosen)))
        lengths = batch["media"][kind]["lengths"][:, 0]
        placed = calls.place({"media": batch["media"]})
        ids, cosines = map(calls.fetch, calls.run(nearest_tokens, **placed, kind=kind, count=count))
        found += [
            Near(ids[row, 0, :length], cosines[row, 0, :length])
            for row, length in enumerate(lengths[: len(chosen)])
        ]
    return found
