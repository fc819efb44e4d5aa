"""Optimizers and schedules by name."""

import jax
import optax
from optax.contrib import MuonDimensionNumbers, muon


def make_schedule(*, peak: float, steps: int, warmup: int, decay: str) -> optax.Schedule:
    """Linear warm-up to ``peak``, then constant, or linear or cosine decay to zero at ``steps``.

    Raises:
      ValueError: an unknown decay.
    """
    warmup = min(warmup, max(steps - 1, 0))
    rest = max(steps - warmup, 1)
    shapes = {
        "constant": lambda: optax.constant_schedule(peak),
        "linear": lambda: optax.linear_schedule(peak, 0.0, rest),
        "cosine": lambda: optax.cosine_decay_schedule(peak, rest),
    }
    if decay not in shapes:
        raise ValueError(f"unknown decay {decay!r} (known: {', '.join(shapes)})")
    rise = optax.linear_schedule(peak / (warmup + 1), peak, max(warmup, 1))
    return optax.join_schedules([rise, shapes[decay]()], [warmup])


def make_optimizer(
    name: str,
    schedule: optax.Schedule,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    clip: float | None = None,
) -> optax.GradientTransformation:
    """An optimizer by name; the gradient is clipped to a global norm first where ``clip`` is given.

    "adamw" (Loshchilov & Hutter 2019), or "muon" (Jordan et al. 2024): orthogonalised momentum for
    the matrices, each layer of a stack by itself, with updates scaled to the size of Adam's
    (Liu et al. 2025, arXiv:2502.16982, eq. 4), and AdamW for all else. Its matrices are scaled by
    the row sums of their Gram matrix (Boissin et al. 2025, arXiv:2512.04632), so that four steps of
    Newton-Schulz do what five do behind a Frobenius norm. Muon learns a small model
    from scratch in far fewer updates; fine-tuning keeps AdamW.

    Raises:
      ValueError: an unknown name.
    """
    if name == "adamw":
        optimizer = optax.adamw(schedule, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)
    elif name == "muon":
        optimizer = muon(
            schedule,
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
        raise ValueError(f"unknown optimizer {name!r} (known: adamw, muon)")
    return optax.chain(optax.clip_by_global_norm(clip), optimizer) if clip else optimizer


def _matrices(params: dict) -> dict:
    """Axes (in, out) of the leaves that are weight matrices, None for all others."""

    def numbers(path, leaf):
        if leaf.ndim < 2 or path[-1].key != "w":
            return None
        return MuonDimensionNumbers(leaf.ndim - 2, leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(numbers, params)
