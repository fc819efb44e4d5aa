"""One jitted update: hidden states, what the objective asks for, its gradient, the new weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.checkpoints.folder import combine
from mllm.models.fusion import balance_loss
from mllm.ops.attention import kernels_for
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import one_device
from mllm.parallel.rules import shardings
from mllm.parallel.states import keep_rows
from mllm.training.state import TrainState
from mllm.training.values import Batch, reads_tokens, reference_read, states_read, token_values_of

Step = Callable[[TrainState, dict[str, Any], Batch], tuple[TrainState, dict[str, tuple]]]


def weighed(
    model, config, variables: dict, batch: Batch, key: jax.Array | None = None
) -> tuple[Batch, dict[str, jax.Array], dict[str, jax.Array]]:
    """Encode the images of a batch first, to see how a model weighs its encoders.

    Returns:
      (the batch with encoded media; {"key"}, what is left of the key of dropout, if there is one;
      {"gates": float32[R, I, L, N]}, or {} where no image has gates).
    """
    keys = (None, None) if key is None else jax.random.split(key)
    media = model.encode_media(config, variables, batch.get("media", {}), keys[0])
    gates = {name: found for name, found in media.get("image", {}).items() if name == "gates"}
    return {**batch, "media": media}, {} if key is None else {"key": keys[1]}, gates


def cut_rows(rows: jax.Array, parts: int) -> jax.Array:
    """Cut [R, ...] into [parts, R / parts, ...]: row r is in part r % parts, so that each part's
    rows lie on all devices that the batch's do.

    Raises:
      ValueError: parts does not divide R.
    """
    if rows.shape[0] % parts:
        raise ValueError(
            f"accumulation is {parts}, which does not divide the {rows.shape[0]} rows of a batch: "
            "choose a divisor of the stage's rows"
        )
    return rows.reshape(-1, parts, *rows.shape[1:]).swapaxes(0, 1)


def join_rows(parts: jax.Array) -> jax.Array:
    """Invert ``cut_rows``."""
    return parts.swapaxes(0, 1).reshape(-1, *parts.shape[2:])


def reals(tree: Any) -> list[jax.Array]:
    """Return the leaves of a tree that have a gradient: those of floats."""
    return [leaf for leaf in jax.tree.leaves(tree) if _is_real(leaf)]


def with_reals(tree: Any, real: list[jax.Array]) -> Any:
    """Return a tree with other leaves of floats: those of ``reals``."""
    waiting = iter(real)
    return jax.tree.map(lambda leaf: next(waiting) if _is_real(leaf) else leaf, tree)


def _is_real(leaf: jax.Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def make_train_step(
    model,
    config,
    objective,
    optimizer: optax.GradientTransformation,
    *,
    mesh: Mesh | None = None,
    key: jax.Array | None = None,
    accumulation: int = 1,
) -> Step:
    """Build ``step(state, frozen, batch) -> (state, metrics)``; the state is donated, ``frozen`` is
    not.

    Where the config has a ``balance`` above 0, that times ``balance_loss`` of the model's gates is
    added to the objective's loss.

    ``frozen`` holds the collections that do not change ({"params": ...} under LoRA or where only
    parts train, else {}), where the objective compares with its reference and the base cannot serve
    as it, {"reference": variables}, and for ``Objective.salient`` {"salient": bool of each weight
    that trains}. Metrics are (sum, count) pairs.

    Args:
      optimizer: of ``mllm.training.optimizers.make_optimizer``; its state holds the learning rate.
      mesh: where state, ``frozen`` and batch lie (None: the first device); the new state keeps its
        places, and metrics are on every device.
      key: of the dropout on the inputs of low-rank updates, folded with the step; None drops
        nothing. Reference passes never drop.
      accumulation: equal parts that the rows are cut into, whose activations are held one part at a
        time; loss and gradient are those of the whole batch, at the price of a second forward pass.

    Raises:
      ValueError: accumulation is below 1; at tracing, rows that it does not divide.
    """
    if accumulation < 1:
        raise ValueError(f"accumulation is {accumulation}, expected at least 1")
    mesh = mesh or one_device()
    balance = getattr(config, "balance", 0.0)

    def values_of(trainable: dict, frozen: dict, batch: Batch, **options) -> dict:
        variables = combine(frozen, trainable)
        values, shown = {}, batch
        if balance:
            batch, options, values = weighed(model, config, variables, batch, **options)
        if "outputs" in objective.needs:
            values["outputs"] = model.outputs(config, variables, batch, **options)
        if not reads_tokens(objective):
            return values
        layer, reference = objective.layer, None
        states = states_read(model, config, variables, batch, layer=layer, **options)
        if objective.compares:
            reference = reference_read(model, config, frozen, shown, layer=layer)
        head = model.head(config, variables)
        return {**values, **token_values_of(objective, states, head, reference, batch)}

    def loss_of(values: dict, batch: Batch, numbers: dict):
        values = dict(values)
        gates = values.pop("gates", None)
        if "numbers" in objective.needs:
            values["numbers"] = numbers
        loss, metrics = objective.loss(batch=batch, **values)
        if gates is not None:
            uneven = balance_loss(gates, batch["media"]["image"]["slots"] >= 0)
            loss = loss + balance * uneven
            metrics = {**metrics, "balance": (uneven, jnp.ones(()))}
        return loss, (metrics, values["outputs"] if objective.refresh else {})

    def loss_fn(trainable: dict, frozen: dict, batch: Batch, numbers: dict, **options):
        return loss_of(values_of(trainable, frozen, batch, **options), batch, numbers)

    def pulled(pull: Callable, cotangent: list, frozen: dict, batch: Batch) -> dict:
        """Return the gradient of the weights; that of primary rows only where they are salient."""
        if objective.salient is None:
            return pull(cotangent)[0]
        primary = batch["role"] == objective.roles[objective.primary]

        def of(chosen: jax.Array) -> dict:
            rows = [jnp.where(jnp.expand_dims(chosen, range(1, c.ndim)), c, 0) for c in cotangent]
            return pull(rows)[0]

        return jax.tree.map(
            lambda salient, mine, rest: jnp.where(salient, mine, 0) + rest,
            frozen["salient"],
            of(primary),
            of(~primary),
        )

    def gradient_of(trainable: dict, frozen: dict, batch: Batch, numbers: dict, **options):
        if accumulation == 1 and objective.salient is None:
            given = trainable, frozen, batch, numbers
            return jax.value_and_grad(loss_fn, has_aux=True)(*given, **options)
        parts = jax.tree.map(lambda rows: cut_rows(rows, accumulation), batch)
        keys = {name: jax.random.split(one, accumulation) for name, one in options.items()}
        values = jax.lax.map(
            lambda part: values_of(trainable, frozen, part[0], **part[1]), (parts, keys)
        )
        # Losses are not sums over rows: their gradient is taken over the whole batch, with respect
        # to the values of tokens, and handed back to the parts.
        (loss, more), cotangents = jax.value_and_grad(
            lambda real: loss_of(jax.tree.map(join_rows, with_reals(values, real)), batch, numbers),
            has_aux=True,
        )(reals(values))

        def add(total, part):
            batch, options, cotangent = part
            _, pull = jax.vjp(lambda t: reals(values_of(t, frozen, batch, **options)), trainable)
            gradient = pulled(pull, cotangent, frozen, batch)
            return jax.tree.map(lambda a, b: a + b.astype(a.dtype), total, gradient), None

        zeros = jax.tree.map(lambda w: jnp.zeros(w.shape, jnp.float32), trainable)
        total, _ = jax.lax.scan(add, zeros, (parts, keys, cotangents))
        return (loss, more), jax.tree.map(lambda a, w: a.astype(w.dtype), total, trainable)

    def step(state: TrainState, frozen: dict, batch: Batch):
        options = {} if key is None else {"key": jax.random.fold_in(key, state.step)}
        with keep_rows(mesh), kernels_for(*kernels_on(mesh)):
            given = state.trainable, frozen, batch, state.numbers
            (loss, more), gradient = gradient_of(*given, **options)
        metrics, outputs = more
        updates, opt = optimizer.update(gradient, state.opt, state.trainable)
        trainable = optax.apply_updates(state.trainable, updates)
        if objective.refresh is not None:
            trainable, refreshed = objective.refresh(trainable, outputs, batch, state.step)
            metrics = {**metrics, **refreshed}
        numbers = state.numbers
        if objective.renew is not None:
            numbers = objective.renew(numbers, metrics, state.step)
        one = jnp.ones(())
        metrics = {
            "loss": (loss, one),
            "gradient_norm": (optax.tree.norm(gradient), one),
            "learning_rate": (optax.tree.get(state.opt, "learning_rate"), one),
            **{name: (number, one) for name, number in state.numbers.items()},
            **metrics,
        }
        new = TrainState(state.step + 1, trainable, opt, numbers)
        new = jax.lax.with_sharding_constraint(new, shardings(new, mesh))
        return new, jax.lax.with_sharding_constraint(metrics, NamedSharding(mesh, P()))

    return jax.jit(step, donate_argnums=0)
