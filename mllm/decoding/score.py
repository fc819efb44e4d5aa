"""Log-probabilities of given continuations: all options of a question in one row, behind one
prefix.

R questions, S options, T tokens of a row.
"""

from functools import partial

import jax
import jax.numpy as jnp

from mllm.decoding.prefix import Prefix, branch, continuation, extended
from mllm.ops.losses import gather_states, supervised_logprobs
from mllm.ops.segments import segment_sums


@partial(jax.jit, static_argnames=("model", "config"))
def score_choices(
    model, config, variables: dict, prefix: Prefix, groups: jax.Array, batch: dict
) -> jax.Array:
    """Summed log-probability of every option.

    Args:
      prefix, groups: row r continues prefix ``groups[r]``, i32[R].
      batch: rows of ``mllm.data.packing.collate`` in which segment 0 is the question and segment k
        the k-th option.

    Returns:
      float32[R, S]; 0 where a row has fewer options.
    """
    prefix = branch(prefix, groups)
    tokens = batch["tokens"]
    past = prefix.segments.shape[1]
    positions = batch["positions"] + prefix.lengths[:, None]
    states, _ = model.hidden(
        config,
        variables,
        {"tokens": tokens, "positions": positions},
        structure=continuation(prefix, positions, batch["segments"], 0, tokens.shape[1]),
        cache=extended(prefix, tokens.shape[1]),
        write_at=past,
    )
    values = supervised_logprobs(
        gather_states(states, batch["sources"]), model.head(config, variables), batch
    )
    there = batch["targets"] < tokens.shape[1]
    places = jnp.minimum(batch["targets"], tokens.shape[1] - 1)
    segments = jnp.where(there, jnp.take_along_axis(batch["segments"], places, axis=1), -1)
    return segment_sums(values, segments, batch["answers"].shape[1])
