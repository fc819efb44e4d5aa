"""Log-probabilities of given continuations: all choices of a question in one row after a prefix.

R questions, S choices, T tokens of a row.
"""

import jax
import jax.numpy as jnp

from mllm.decoding.prefix import Prefix, read
from mllm.decoding.split import decoding_program
from mllm.ops.losses import gather_states, supervised_logprobs, token_measures, wanted_tokens
from mllm.ops.segments import segment_sums


@decoding_program()
def score_choices(model, config, variables: dict, prefix: Prefix | None, batch: dict) -> jax.Array:
    """Return the summed log-probability of every choice.

    Args:
      prefix: what the R rows continue evenly.
      batch: rows in which segment 0 is the question and segment k the k-th choice
        (``mllm.evaluation.branching.lay_out_choices``).

    Returns:
      float32[R, S]; 0 where a row has fewer choices.
    """
    return read_choices(model, config, variables, prefix, batch)[0]


@decoding_program()
def measure_choices(
    model, config, variables: dict, prefix: Prefix | None, batch: dict
) -> jax.Array:
    """Return float32[R, M, 4], the ``losses.token_measures`` of each token of the choices.

    The arguments are those of ``score_choices``. Meaningless where a row has fewer tokens.
    """
    _, states = read(model, config, variables, batch, prefix)
    states = gather_states(states, batch["sources"])
    measured = token_measures(states, model.head(config, variables), wanted_tokens(batch))
    return measured.reshape(*batch["targets"].shape, -1)


def read_choices(
    model, config, variables: dict, prefix: Prefix | None, batch: dict
) -> tuple[jax.Array, Prefix, jax.Array]:
    """Do what ``score_choices`` does, as a part of a larger program; return also the prefix that
    ends in the questions, and the final states float[R, T, D].
    """
    tokens = batch["tokens"]
    prefix, states = read(model, config, variables, batch, prefix)
    values = supervised_logprobs(
        gather_states(states, batch["sources"]), model.head(config, variables), batch
    )
    there = batch["targets"] < tokens.shape[1]
    places = jnp.minimum(batch["targets"], tokens.shape[1] - 1)
    segments = jnp.where(there, jnp.take_along_axis(batch["segments"], places, axis=1), -1)
    return segment_sums(values, segments, batch["answers"].shape[1]), prefix, states
