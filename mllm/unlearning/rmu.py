"""Misdirected states (Li et al. 2024, RMU, arXiv:2403.03218)."""

from typing import Literal

import jax
import jax.numpy as jnp

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import mean
from mllm.unlearning.retain import with_retain
from mllm.unlearning.roles import FORGET, RETAIN, total_of_means


def rmu(
    layer: int = 2,
    length: float = 2.0,
    form: Literal["paper", "released"] = "paper",
    keep: Literal["none", "nll", "kl", "states"] = "states",
    retain_weight: float = 1.0,
    seed: int = 0,
) -> Objective:
    """Turn the states of the answers to forget towards a random direction; keep the others.

    With h the states after ``layer`` layers at the tokens of an answer, h0 those of the model that
    training starts from, and u a direction drawn once, uniform in [0, 1] per entry and scaled to
    length 1: the mean over an answer's tokens of ``|h - length * u|^2``, averaged over the answers
    to forget, plus ``retain_weight`` times the same of ``|h - h0|^2`` over those to retain.
    "released" takes the mean over the entries of the states instead of the sum.

    Layers above ``layer`` have no gradient, but of a likelihood or divergence. Metrics:
    ``forget_distance``; ``retain_distance`` with "states"; those of ``with_retain``.

    Args:
      layer: from 1. length: of the target, > 0. form: see above. seed: of the direction.
      keep: "states" as above, or a term of ``with_retain``. retain_weight: >= 0.

    Raises:
      ValueError: ``layer`` is below 1, ``length`` is not positive, ``form`` is unknown, or of
        ``with_retain``; at tracing, the decoder has fewer layers.
    """
    if layer < 1:
        raise ValueError(f"rmu needs layer >= 1, got {layer}")
    if length <= 0:
        raise ValueError(f"rmu needs length > 0, got {length}")
    if form not in ("paper", "released"):
        raise ValueError(f"rmu: form is {form!r}, expected 'paper' or 'released'")
    reduce = jnp.sum if form == "paper" else jnp.mean

    def to_direction(states: jax.Array):
        drawn = jax.random.uniform(jax.random.key(seed), states.shape[-1:])
        wanted = length * drawn / jnp.linalg.norm(drawn)
        return reduce((states.astype(jnp.float32) - wanted) ** 2, axis=-1)

    def from_reference(states: jax.Array, reference_states: jax.Array):
        moved = states.astype(jnp.float32) - reference_states.astype(jnp.float32)
        return reduce(moved**2, axis=-1)

    def forget(forget_distance: jax.Array, batch: Batch):
        total = total_of_means(forget_distance, batch, FORGET)
        return mean(total), {"forget_distance": total}

    def both(forget_distance: jax.Array, retain_distance: jax.Array, batch: Batch):
        value, metrics = forget(forget_distance, batch)
        kept = total_of_means(retain_distance, batch, RETAIN)
        return value + retain_weight * mean(kept), {**metrics, "retain_distance": kept}

    values = {"forget_distance": to_direction}
    if keep != "states" or retain_weight == 0:
        keep = "none" if keep == "states" else keep
        return with_retain(forget, "rmu", keep, retain_weight, values=values, layer=layer)
    if retain_weight < 0:
        raise ValueError(f"rmu needs retain_weight >= 0, got {retain_weight}")
    values["retain_distance"] = from_reference
    return with_retain(both, "rmu", sees_retain=True, values=values, layer=layer)
