"""Optimizers and schedules by name."""

import optax


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
    schedule: optax.Schedule,
    *,
    b1=0.9,
    b2=0.999,
    eps=1e-6,
    weight_decay=0.0,
    clip: float | None = None,
) -> optax.GradientTransformation:
    """AdamW, with the gradient clipped to a global norm first where ``clip`` is given."""
    adamw = optax.adamw(schedule, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)
    return optax.chain(optax.clip_by_global_norm(clip), adamw) if clip else adamw
