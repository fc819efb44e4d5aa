"""What the loss of an objective is given: the values of each supervised token of packed rows.

R rows, T tokens, M supervised tokens, N = R * M, D width, V vocabulary.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mllm.models.states import states_after
from mllm.ops.losses import (
    gather_states,
    supervised_logprobs,
    token_kl,
    token_values,
    wanted_tokens,
)
from mllm.training.objective import Objective

Batch = dict[str, jax.Array]
States = dict[str, jax.Array]


def predicting_states(model, config, variables: dict, batch: Batch, **options) -> jax.Array:
    """Return the states float[N, D] that predict the supervised tokens of a packed batch;
    ``options`` go to the model's ``hidden``.
    """
    states, _ = model.hidden(config, variables, batch, **options)
    return gather_states(states, batch["sources"])


def scatter_values(values: jax.Array, batch: Batch) -> jax.Array:
    """Write values of supervised tokens [R, M] to their places in float32[R, T], 0 elsewhere."""
    targets = batch["targets"]
    rows, tokens = jnp.arange(targets.shape[0])[:, None], batch["tokens"].shape[1]
    empty = jnp.zeros((targets.shape[0], tokens), jnp.float32)
    return empty.at[rows, targets].set(values.reshape(targets.shape), mode="drop")


def packed_logprobs(model, config, variables: dict, batch: Batch) -> jax.Array:
    """Return float32[R, T], the log-probability of each supervised token and 0 elsewhere."""
    states = predicting_states(model, config, variables, batch)
    return scatter_values(supervised_logprobs(states, model.head(config, variables), batch), batch)


def reads_tokens(objective: Objective) -> bool:
    """Return whether a loss is given values of supervised tokens."""
    return bool({"token_logprobs", "divergence", *objective.values} & set(objective.needs))


def states_read(
    model, config, variables: dict, batch: Batch, *, layer: int | None = None, **options
) -> States:
    """Return the states that values of tokens are computed from.

    Args:
      layer: of ``Objective``. options: of the model's ``hidden``.

    Returns:
      ``predicting`` float[N, D] and, with a layer, ``inner`` float[N, D]: those after that layer,
      at the supervised tokens themselves.
    """
    found = {"predicting": predicting_states(model, config, variables, batch, **options)}
    if layer is not None:
        states = states_after(model, config, variables, batch, layer)
        places = jnp.minimum(batch["targets"], states.shape[1] - 1)
        found["inner"] = gather_states(states, places)
    return found


def reference_read(
    model, config, frozen: dict, batch: Batch, *, layer: int | None = None
) -> dict[str, Any]:
    """Return ``states_read`` of the model that training starts from and its ``head`` float[D, V],
    neither with a gradient.

    Under LoRA the base without the adapter is that model: no second copy of the weights.
    """
    reference = frozen.get("reference", {"params": frozen.get("params")})
    found = states_read(model, config, reference, batch, layer=layer)
    return jax.lax.stop_gradient({**found, "head": model.head(config, reference)})


def token_values_of(
    objective: Objective,
    states: States,
    head: jax.Array,
    reference: dict[str, Any] | None,
    batch: Batch,
) -> dict[str, jax.Array]:
    """Return what a loss is given of supervised tokens, float32[R, T] by name, 0 elsewhere.

    Args:
      states: of ``states_read``. head: float[D, V].
      reference: of ``reference_read``; None where the objective does not compare.
    """
    values, needs = {}, objective.needs
    if "token_logprobs" in needs:
        logprobs = supervised_logprobs(states["predicting"], head, batch)
        values["token_logprobs"] = scatter_values(logprobs, batch)
    given, heads = {"logits": states["predicting"]}, {"logits": head}
    if reference is not None:
        given["reference_logits"] = reference["predicting"]
        heads["reference_logits"] = reference["head"]
    if "divergence" in needs:
        kept = given["reference_logits"], heads["reference_logits"]
        values["divergence"] = scatter_values(token_kl(*kept, states["predicting"], head), batch)
    wanted = [name for name in needs if name in objective.values]
    if wanted:
        given["targets"] = wanted_tokens(batch)
    if objective.layer is not None:
        given["states"] = states["inner"]
        if reference is not None:
            given["reference_states"] = reference["inner"]
    for name in wanted:
        read = objective.reads[name]
        found = token_values(
            objective.values[name],
            {one: given[one] for one in read},
            {one: heads[one] for one in read if one in heads},
        )
        values[name] = scatter_values(found, batch)
    return values
