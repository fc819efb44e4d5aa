"""What makes the sound of a leaf: its parameters, the ranges they are drawn from, its signal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mllm.benchmarks.hear.draw.signals import times

Render = Callable[..., np.ndarray]


@dataclass(frozen=True)
class Voice:
    """How a leaf sounds.

    Attributes:
      name: of the leaf.
      render: (rng, time float64[S] in seconds, **parameters) -> float64[S].
      ranges: lowest and highest value of each parameter; values are drawn evenly in their
        logarithm, so both are positive.
    """

    name: str
    render: Render
    ranges: Mapping[str, tuple[float, float]]

    def draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Draw the parameters of one voice."""
        return {
            name: float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.6g}")
            for name, (low, high) in self.ranges.items()
        }

    def sound(
        self, rng: np.random.Generator, seconds: float, parameters: Mapping[str, float]
    ) -> np.ndarray:
        """Return float64[S] whose largest sample is 1, at 16 kHz.

        Raises:
          ValueError: the voice is silent.
        """
        made = self.render(rng, times(seconds), **parameters)
        largest = np.abs(made).max()
        if not largest > 0:
            raise ValueError(f"voice {self.name!r} is silent with {dict(parameters)}")
        return made / largest


def voice(name: str, render: Render, **ranges: tuple[float, float]) -> Voice:
    """Return a voice; see `Voice`."""
    return Voice(name, render, ranges)
