"""One update of several runs that train adapters of one shape over the same frozen weights.

K runs, R rows, N supervised tokens, D width. Each run has its own objective, learning rate and
batch; the sum of their losses has, as its gradient with respect to the adapter of a run, the
gradient of that run's loss. So the product of each frozen matrix is one product for all runs, and
what no adapter changes is computed once where the runs share a batch.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.checkpoints.folder import combine
from mllm.ops.attention import kernels_for
from mllm.parallel.kernels import kernels_on
from mllm.parallel.rules import shardings, stacked_shardings
from mllm.parallel.states import keep_rows
from mllm.training.objective import Objective
from mllm.training.state import TrainState
from mllm.training.values import Batch, reference_read, states_read, token_values_of


def can_train_together(objective: Objective) -> bool:
    """Return whether ``make_together_step`` takes an objective: one of supervised tokens that does
    nothing but follow its gradient.
    """
    own = (objective.refresh, objective.edit, objective.salient)
    plain = own == (None, None, None) and not objective.numbers
    return objective.loss is not None and "outputs" not in objective.needs and plain


def make_together_step(
    model, config, objectives: Sequence[Objective], optimizer: optax.GradientTransformation, mesh
):
    """Build ``step(state, frozen, batch) -> (state, metrics)``; the state is donated.

    The state is that of ``stack``; the batch is one that all runs share, or a list of one for each
    run, all of the same shapes. Metrics are a list of those of ``make_train_step``. Nothing is
    dropped from the inputs of adapters, and rows are not taken in parts.

    Args:
      objectives: of the runs; those with a ``layer`` have the same one. optimizer: of all runs,
        whose state holds the learning rate.
    """
    (layer,) = {objective.layer for objective in objectives}
    compares = any(objective.compares for objective in objectives)
    alike = {one: [k for k, o in enumerate(objectives) if o == one] for one in objectives}

    def read(trainable: dict, frozen: dict, batch: Batch):
        return states_read(model, config, combine(frozen, trainable), batch, layer=layer)

    def loss_of(objective: Objective, trainable, frozen, states, reference, batch: Batch):
        head = model.head(config, combine(frozen, trainable))
        reference = reference if objective.compares else None
        values = token_values_of(objective, states, head, reference, batch)
        return objective.loss(batch=batch, **values)

    def loss_fn(trainable: dict, frozen: dict, batch: Batch | list[Batch]):
        axis = None if isinstance(batch, dict) else 0
        batch = batch if axis is None else jax.tree.map(lambda *own: jnp.stack(own), *batch)
        states = jax.vmap(read, in_axes=(0, None, axis))(trainable, frozen, batch)
        reference = axes = None
        if compares:
            # The head of the model that all start from is never copied.
            axes = {**dict.fromkeys(states, axis), "head": None}
            reading = partial(reference_read, model, config, layer=layer)
            if axis is not None:
                reading = jax.vmap(reading, in_axes=(None, axis), out_axes=axes)
            reference = reading(frozen, batch)
        total, found = 0.0, {}
        for objective, runs in alike.items():
            own_batch, own_reference = batch, reference
            if axis is not None:
                own_batch = take(batch, runs)
                if compares:
                    kept = {name: take(reference[name], runs) for name in states}
                    own_reference = {**kept, "head": reference["head"]}
            losses, metrics = jax.vmap(
                partial(loss_of, objective), in_axes=(0, None, 0, axes, axis)
            )(take(trainable, runs), frozen, take(states, runs), own_reference, own_batch)
            total = total + jnp.sum(losses)
            for place, k in enumerate(runs):
                found[k] = jax.tree.map(lambda x, place=place: x[place], (losses, metrics))
        return total, [found[k] for k in range(len(objectives))]

    def step(state: TrainState, frozen: dict, batch: Batch | list[Batch]):
        with keep_rows(mesh), kernels_for(*kernels_on(mesh)):
            (_, found), gradient = jax.value_and_grad(loss_fn, has_aux=True)(
                state.trainable, frozen, batch
            )
        updates, opt = jax.vmap(optimizer.update)(gradient, state.opt, state.trainable)
        trainable = optax.apply_updates(state.trainable, updates)
        norms, rates = jax.vmap(optax.tree.norm)(gradient), learning_rates(state.opt)
        one = jnp.ones(())
        metrics = [
            {
                "loss": (loss, one),
                "gradient_norm": (norms[k], one),
                "learning_rate": (rates[k], one),
                **own,
            }
            for k, (loss, own) in enumerate(found)
        ]
        new = TrainState(state.step + 1, trainable, opt)
        new = jax.lax.with_sharding_constraint(new, stacked_shardings(new, mesh))
        return new, jax.lax.with_sharding_constraint(metrics, NamedSharding(mesh, P()))

    return jax.jit(step, donate_argnums=0)


def learning_rates(opt: optax.OptState) -> jax.Array:
    """Return f32[K], the rates of the next update."""
    return optax.tree.get(opt, "learning_rate")


def take(tree, runs: Sequence[int]):
    """Return the leaves of some of the runs, the tree itself if these are all in order."""
    count = jax.tree.leaves(tree)[0].shape[0]
    if list(runs) == list(range(count)):
        return tree
    return jax.tree.map(lambda leaf: leaf[np.asarray(runs)], tree)


@partial(jax.jit, static_argnames="mesh")
def stack(states: Sequence[TrainState], mesh: Mesh) -> TrainState:
    """Return the states of several runs as one, their leaves [K, ...]."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    return jax.lax.with_sharding_constraint(stacked, stacked_shardings(stacked, mesh))


@partial(jax.jit, static_argnames="mesh")
def unstack(state: TrainState, mesh: Mesh) -> list[TrainState]:
    """Invert ``stack``."""
    found = [jax.tree.map(lambda leaf, k=k: leaf[k], state) for k in range(len(state.step))]
    return jax.lax.with_sharding_constraint(found, [shardings(one, mesh) for one in found])
