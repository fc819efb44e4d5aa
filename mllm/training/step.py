"""One jitted update: hidden states, what the objective asks for, its gradient, the new weights.

R rows, T tokens, M supervised tokens, N = R * M, D width.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.checkpoints.folder import combine
from mllm.ops.attention import kernels_for
from mllm.ops.losses import gather_states, supervised_logprobs, token_kl
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import one_device
from mllm.parallel.rows import keep_rows
from mllm.parallel.rules import shardings
from mllm.training.state import TrainState

Batch = dict[str, jax.Array]
Step = Callable[[TrainState, dict[str, Any], Batch], tuple[TrainState, dict[str, tuple]]]


def predicting_states(model, config, variables: dict, batch: Batch, **options) -> jax.Array:
    """The states float[N, D] that predict the supervised tokens of a packed batch; ``options`` go
    to the model's ``hidden``.
    """
    states, _ = model.hidden(config, variables, batch, **options)
    return gather_states(states, batch["sources"])


def spread(values: jax.Array, batch: Batch) -> jax.Array:
    """Values of supervised tokens [R, M] -> float32[R, T] at their places, 0 elsewhere."""
    targets = batch["targets"]
    rows, tokens = jnp.arange(targets.shape[0])[:, None], batch["tokens"].shape[1]
    empty = jnp.zeros((targets.shape[0], tokens), jnp.float32)
    return empty.at[rows, targets].set(values.reshape(targets.shape), mode="drop")


def packed_logprobs(model, config, variables: dict, batch: Batch) -> jax.Array:
    """float32[R, T]: the log-probability of each supervised token, 0 elsewhere."""
    states = predicting_states(model, config, variables, batch)
    return spread(supervised_logprobs(states, model.head(config, variables), batch), batch)


def make_train_step(
    model,
    config,
    objective,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    *,
    mesh: Mesh | None = None,
    key: jax.Array | None = None,
) -> Step:
    """Build ``step(state, frozen, batch) -> (state, metrics)``; the state is donated, ``frozen`` is
    not.

    ``frozen`` holds the collections that do not change ({"params": ...} under LoRA or where only
    parts train, else {}) and, where the objective asks for a divergence and the base cannot serve
    as reference, {"reference": variables}. Metrics are (sum, count) pairs.

    Args:
      mesh: where state, ``frozen`` and batch lie (None: the first device); the new state keeps its
        places, and metrics are on every device.
      key: of the dropout on the inputs of low-rank updates, folded with the step; None drops
        nothing. Reference passes never drop.
    """
    mesh = mesh or one_device()

    def loss_fn(trainable: dict, frozen: dict, batch: Batch, **options):
        variables = combine(frozen, trainable)
        states = predicting_states(model, config, variables, batch, **options)
        head = model.head(config, variables)
        inputs = {"batch": batch}
        if "token_logprobs" in objective.needs:
            inputs["token_logprobs"] = spread(supervised_logprobs(states, head, batch), batch)
        if "divergence" in objective.needs:
            # Under LoRA the base without the adapter is the reference: no second copy of the
            # weights.
            reference = frozen.get("reference", {"params": frozen.get("params")})
            kept = jax.lax.stop_gradient(predicting_states(model, config, reference, batch))
            reference_head = jax.lax.stop_gradient(model.head(config, reference))
            inputs["divergence"] = spread(token_kl(kept, reference_head, states, head), batch)
        return objective.loss(**inputs)

    def step(state: TrainState, frozen: dict, batch: Batch):
        options = {} if key is None else {"key": jax.random.fold_in(key, state.step)}
        with keep_rows(mesh), kernels_for(*kernels_on(mesh)):
            (loss, metrics), gradient = jax.value_and_grad(loss_fn, has_aux=True)(
                state.trainable, frozen, batch, **options
            )
        updates, opt = optimizer.update(gradient, state.opt, state.trainable)
        trainable = optax.apply_updates(state.trainable, updates)
        one = jnp.ones(())
        metrics = {
            "loss": (loss, one),
            "gradient_norm": (optax.tree.norm(gradient), one),
            "learning_rate": (schedule(state.step), one),
            **metrics,
        }
        new = TrainState(state.step + 1, trainable, opt)
        new = jax.lax.with_sharding_constraint(new, shardings(new, mesh))
        return new, jax.lax.with_sharding_constraint(metrics, NamedSharding(mesh, P()))

    return jax.jit(step, donate_argnums=0)
