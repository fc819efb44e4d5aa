"""Something that a camera, a scene or a darkroom does to a picture, with its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mllm.benchmarks.photo.frame import Frame

# In the order in which they happen. Arrays are linear light until "tone", sRGB values from there.
STAGES = ("scene", "light", "optics", "sensor", "tone", "finish")

Change = Callable[..., Frame]


def _no_draw(rng: np.random.Generator) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Operation:
    """An operation with the settings that it can have.

    Attributes:
      name: of the operation.
      stage: one of `STAGES`.
      settings: JSON parameters by the name of the setting.
      change: (frame, **parameters) -> frame; None in the stage "scene", whose parameters the
        drawing of the scene reads.
      touches: aspects of a picture that it changes. Two operations on a picture share none.
      needs: what a source must offer, such as "depth".
      draw: draws parameters besides those of the setting, such as the seed of noise.
    """

    name: str
    stage: str
    settings: Mapping[str, Mapping[str, Any]]
    change: Change | None
    touches: frozenset[str]
    needs: frozenset[str] = frozenset()
    draw: Callable[[np.random.Generator], dict[str, Any]] = _no_draw

    def parameters(self, setting: str, rng: np.random.Generator) -> dict[str, Any]:
        """Return all parameters of a setting, for the record."""
        return {**self.settings[setting], **self.draw(rng)}


def operation(
    name: str,
    stage: str,
    settings: Mapping[str, Mapping[str, Any]],
    change: Change | None = None,
    *,
    touches: str,
    needs: str = "",
    draw: Callable[[np.random.Generator], dict[str, Any]] = _no_draw,
) -> Operation:
    """Return an operation; ``touches`` and ``needs`` are words with spaces between them."""
    return Operation(
        name, stage, settings, change, frozenset(touches.split()), frozenset(needs.split()), draw
    )


def seed(rng: np.random.Generator) -> dict[str, int]:
    """Draw the seed of noise."""
    return {"seed": int(rng.integers(1 << 31))}
