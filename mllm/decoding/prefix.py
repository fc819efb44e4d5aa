"""What many questions share is computed once, as a tree: examples, then an image, then a question,
then its choices and replies.

A level holds the keys and values of its nodes once; rows that continue a node read them in place
(``mllm.ops.cascade``). N nodes of the last level, R rows, S slots, D width.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mllm.decoding.split import decoding_program
from mllm.models.decoder import Level
from mllm.ops.attention import Structure, causal


class Prefix(NamedTuple):
    """Levels from the root down.

    R rows continue them evenly: row r continues node r // (R / N) of the last level, and the nodes
    of a level continue the level above in the same way.

    Attributes:
      levels: from the root down.
      lengths: i32[N], tokens on the path of each node: the position of the next one.
    """

    levels: tuple[Level, ...]
    lengths: jax.Array

    def lengths_of(self, rows: int) -> jax.Array:
        """Return the position i32[rows] at which each row goes on.

        Raises:
          ValueError: the nodes do not divide the rows.
        """
        nodes = self.lengths.shape[0]
        if rows % nodes:
            raise ValueError(
                f"{rows} rows cannot continue {nodes} nodes evenly; add rows whose results are "
                "ignored"
            )
        return jnp.repeat(self.lengths, rows // nodes)


def read(
    model, config, variables: dict, batch: dict, prefix: Prefix | None
) -> tuple[Prefix, jax.Array]:
    """Do what ``prefill`` does, as a part of a larger program.

    Rows may hold choices after their tokens, in segments of their own from 1 on. What continues the
    prefix does not see them.
    """
    batch, structure = continued(batch, prefix)
    above = () if prefix is None else prefix.levels
    states, level = model.hidden(config, variables, batch, structure=structure, above=above)
    lengths = jnp.sum(batch["segments"] == 0, axis=1, dtype=jnp.int32)
    if prefix is not None:
        lengths = lengths + prefix.lengths_of(len(lengths))
    return Prefix((*above, level), lengths), states


def continued(batch: dict, prefix: Prefix | None) -> tuple[dict, Structure]:
    """Return the batch with positions that go on from the prefix, and the structure of its tokens
    among themselves.
    """
    positions = batch["positions"]
    if prefix is not None:
        positions = positions + prefix.lengths_of(positions.shape[0])[:, None]
    plain = prefix is None and "targets" not in batch  # rows of options have branches
    structure = causal(positions, batch["segments"], plain=plain)
    return {**batch, "positions": positions}, structure


@decoding_program()
def prefill(
    model, config, variables: dict, batch: dict, prefix: Prefix | None = None
) -> tuple[Prefix, jax.Array]:
    """Read rows of tokens, each of which becomes a node of a new level.

    Args:
      batch: tokens, positions, segments i32[R, S] (segments -1 on padding, at the right), and
        images with image_slots. Positions begin at 0, also below a prefix.
      prefix: what the rows continue, evenly.

    Returns:
      (the prefix that ends in the new level, the final states float[R, S, D]).
    """
    return read(model, config, variables, batch, prefix)
