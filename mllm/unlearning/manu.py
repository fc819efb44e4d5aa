"""Modality-aware neuron pruning (Liu et al. 2025, MANU, arXiv:2502.15910)."""

from collections.abc import Mapping
from typing import Literal

import jax.numpy as jnp
import numpy as np

from mllm.training.objective import Objective
from mllm.unlearning.roles import FORGET, RETAIN, ROLES

TINY = 1e-6
RELEASED_WEIGHTS = {"size": 2.0, "variance": 2.0, "rms": 2.0}  # the frequency has weight 0
RELEASED_TINY, RELEASED_MOST = 1e-5, 1e3
Means = Mapping[str, np.ndarray]


def manu(
    share: float = 0.05,
    loud: float = 0.1,
    layers: int = 0,
    form: Literal["paper", "released"] = "paper",
) -> Objective:
    """Remove the neurons of the decoder's MLPs that tell pictures from text where it is to be
    forgotten, and not where it is to be retained; nothing is trained.

    Z is the mean of ``|z|`` over tokens, N the share of tokens with ``|z| > loud``, V the variance
    and E the mean square of an activation z, on rows with a picture (m) and on text alone (t). Of
    each set, ``I = |Zm - Zt| / (Zm + Zt) + |Nm - Nt| / (Nm + Nt) + sqrt(Vm + Vt) + sqrt(|Em - Et|
    / (Em + Et))``. The neurons with the largest ``I_forget / I_retain`` are removed. Where a set
    has no rows of a kind, its activity there counts as 0.

    "released" scores by ``2 (Z_f / Z_r - 1) + 2 (sd_f / sd_r - 1) + 2 (rms_f / rms_r - 1)`` on text
    alone, or on all rows where there is no text.

    Args:
      share: of the neurons that may be removed, in (0, 1). loud: >= 0.
      layers: how many last layers neurons may be removed from, 0 for all; the published code takes
        3. form: see above.

    Raises:
      ValueError: an option is out of range, or ``form`` is unknown.
    """
    if not 0 < share < 1:
        raise ValueError(f"manu needs 0 < share < 1, got {share}")
    if loud < 0 or layers < 0:
        raise ValueError(f"manu needs loud and layers >= 0, got {loud} and {layers}")
    if form not in ("paper", "released"):
        raise ValueError(f"manu: form is {form!r}, expected 'paper' or 'released'")
    score = _paper if form == "paper" else _released

    def prune(activity: Mapping[str, Mapping[str, Means]]) -> np.ndarray:
        scores = score(activity[FORGET], activity[RETAIN])
        first = max(len(scores) - layers, 0) if layers else 0
        count = max(1, round(share * scores[first:].size))
        ranked = np.argsort(-scores[first:], axis=None, kind="stable")[:count]
        removed = np.zeros(scores.shape, bool)
        removed[first:].reshape(-1)[ranked] = True
        return removed

    return Objective(
        loss=None,
        rows="joint",
        roles=ROLES,
        primary=FORGET,
        activity={
            "value": lambda z: z,
            "size": jnp.abs,
            "loud": lambda z: (jnp.abs(z) > loud).astype(z.dtype),
            "square": jnp.square,
        },
        prune=prune,
    )


def _paper(forget: Mapping[str, Means], retain: Mapping[str, Means]) -> np.ndarray:
    return _importance(forget) / (_importance(retain) + TINY)


def _importance(seen: Mapping[str, Means]) -> np.ndarray:
    """Return float64[L, F], how much the activity of neurons depends on what is shown."""
    nothing = dict.fromkeys(next(iter(seen.values())), np.float64(0))
    media, text = (seen.get(kind, nothing) for kind in ("media", "text"))

    def contrast(name: str) -> np.ndarray:
        m, t = (np.asarray(one[name], np.float64) for one in (media, text))
        return np.abs(m - t) / (m + t + TINY)

    spread = np.sqrt(_variance(media) + _variance(text))
    return contrast("size") + contrast("loud") + spread + np.sqrt(contrast("square"))


def _released(forget: Mapping[str, Means], retain: Mapping[str, Means]) -> np.ndarray:
    kind = "text" if "text" in forget and "text" in retain else "media"
    seen, kept = (_statistics(one[kind]) for one in (forget, retain))
    return sum(
        weight * (seen[name] / (kept[name] + RELEASED_TINY) - 1)
        for name, weight in RELEASED_WEIGHTS.items()
    )


def _statistics(means: Means) -> dict[str, np.ndarray]:
    found = {
        "size": np.asarray(means["size"], np.float64),
        "variance": np.sqrt(_variance(means)),
        "rms": np.sqrt(np.asarray(means["square"], np.float64)),
    }
    return {name: np.minimum(value, RELEASED_MOST) for name, value in found.items()}


def _variance(means: Means) -> np.ndarray:
    value, square = (np.asarray(means[name], np.float64) for name in ("value", "square"))
    return np.maximum(square - value**2, 0)
