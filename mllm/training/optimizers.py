"""Optimizers and schedules by name."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax.contrib import MuonDimensionNumbers, muon

_DECAYS = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1 - progress,
    "cosine": lambda progress: (1 + jnp.cos(jnp.pi * progress)) / 2,
}


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up to ``peak``, then constant, or linear or cosine decay to zero at ``steps``.

    Raises:
      ValueError: an unknown decay.
    """

    peak: float
    steps: int
    warmup: int = 0
    decay: str = "constant"

    def __post_init__(self):
        if self.decay not in _DECAYS:
            raise ValueError(f"unknown decay {self.decay!r} (known: {', '.join(_DECAYS)})")

    def begin(self) -> "ScheduleState":
        """Return the state before the first update, of NumPy scalars."""
        warmup = min(self.warmup, max(self.steps - 1, 0))
        rest = max(self.steps - warmup, 1)
        peak, warmup, rest = (np.float32(x) for x in (self.peak, warmup, rest))
        return ScheduleState(np.int32(0), peak * (1 / (warmup + 1)), peak, warmup, rest)


class ScheduleState(NamedTuple):
    """A schedule under way. Its numbers are data: runs that differ in them share one program.

    Attributes:
      count: i32[], updates done.
      learning_rate: f32[], of the next update.
      peak, warmup, rest: f32[], the highest rate, updates before it, and updates after it.
    """

    count: jax.Array
    learning_rate: jax.Array
    peak: jax.Array
    warmup: jax.Array
    rest: jax.Array


def scale_by_schedule(schedule: Schedule) -> optax.GradientTransformation:
    """Scale updates by the learning rate of a schedule, which is kept in ``ScheduleState``."""

    def at(count, peak, warmup, rest) -> ScheduleState:
        rise = jnp.minimum(1.0, (count + 1) / (warmup + 1))
        progress = jnp.clip((count - warmup) / rest, 0.0, 1.0)
        rate = peak * rise * _DECAYS[schedule.decay](progress)
        return ScheduleState(count, rate, peak, warmup, rest)

    def init(params) -> ScheduleState:
        return jax.tree.map(jnp.asarray, schedule.begin())

    def update(updates, state: ScheduleState, params=None):
        scaled = jax.tree.map(lambda u: state.learning_rate * u, updates)
        return scaled, at(state.count + 1, state.peak, state.warmup, state.rest)

    return optax.GradientTransformation(init, update)


def with_rate(opt: optax.OptState, rate: ScheduleState) -> optax.OptState:
    """Return the state of an optimizer with another schedule of the same decay."""
    return jax.tree.map(
        lambda leaf: rate if isinstance(leaf, ScheduleState) else leaf,
        opt,
        is_leaf=lambda leaf: isinstance(leaf, ScheduleState),
    )


def make_optimizer(
    name: str,
    schedule: Schedule,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    clip: float | None = None,
) -> optax.GradientTransformation:
    """Make an optimizer by name; if ``clip`` is given, the gradient is clipped to a global norm
    first.

    "adamw" (Loshchilov & Hutter 2019); "hf_adamw", the AdamW of transformers up to version 4, which
    adds ``eps`` before the bias correction and therefore takes smaller first steps where gradients
    are small; or "muon" (Jordan et al. 2024): orthogonalised momentum for
    the matrices, each layer of a stack by itself, with updates scaled to the size of Adam's
    (Liu et al. 2025, arXiv:2502.16982, eq. 4), and AdamW for all else. Its matrices are scaled by
    the row sums of their Gram matrix (Boissin et al. 2025, arXiv:2512.04632), so that four steps of
    Newton-Schulz do what five do after division by a Frobenius norm. Muon learns a small model
    from scratch in far fewer updates; fine-tuning keeps AdamW.

    Raises:
      ValueError: an unknown name.
    """
    if name == "adamw":
        optimizer = optax.adamw(1.0, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)
    elif name == "hf_adamw":
        optimizer = optax.chain(
            _scale_by_early_epsilon(b1, b2, eps),
            optax.add_decayed_weights(weight_decay),
            optax.scale(-1.0),
        )
    elif name == "muon":
        optimizer = muon(
            1.0,
            weight_decay=weight_decay,
            adam_b1=b1,
            adam_b2=b2,
            adam_weight_decay=weight_decay,
            ns_steps=4,
            preconditioning="aol",
            consistent_rms=0.2,
            muon_weight_dimension_numbers=_matrices,
        )
    else:
        raise ValueError(f"unknown optimizer {name!r} (known: adamw, hf_adamw, muon)")
    clipped = [optax.clip_by_global_norm(clip)] if clip else []
    return optax.chain(*clipped, optimizer, scale_by_schedule(schedule))


def _scale_by_early_epsilon(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Rescale gradients as Adam does, with ``eps`` next to the root of the uncorrected second
    moment.
    """
    adam = optax.scale_by_adam(b1=b1, b2=b2)

    def update(updates, state, params=None):
        _, state = adam.update(updates, state, params)
        first, second = (1 - decay**state.count for decay in (b1, b2))
        scale = jnp.sqrt(second) / first
        scaled = jax.tree.map(
            lambda mean, square: scale * mean / (jnp.sqrt(square) + eps), state.mu, state.nu
        )
        return scaled, state

    return optax.GradientTransformation(adam.init, update)


def _matrices(params: dict) -> dict:
    """Return the axes (in, out) of the leaves that are weight matrices, None for all others."""

    def numbers(path, leaf):
        if leaf.ndim < 2 or path[-1].key != "w":
            return None
        return MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(numbers, params)
