"""Linear probes: what can be read off states by a linear map, and whether the map that reads one
kind of states reads another.

N states, D width.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

PENALTY = 1.0  # inverse strength of the squared penalty
_UPDATES = 1000


@dataclass(frozen=True)
class Scaling:
    """What makes the dimensions of states comparable: mean and standard deviation float[D]."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, states: np.ndarray) -> "Scaling":
        """Return the scaling after which states have mean 0 and deviation 1; a dimension that does
        not vary stays 0.
        """
        deviation = np.asarray(states, np.float64).std(axis=0)
        return cls(states.mean(axis=0), np.where(deviation > 0, deviation, np.inf))

    def __call__(self, states: np.ndarray) -> np.ndarray:
        return (states - self.mean) / self.deviation


@dataclass(frozen=True)
class Probe:
    """A logistic regression on scaled states; see ``train_probe``."""

    scaling: Scaling
    regression: LogisticRegression

    def predict(self, states: np.ndarray, scaling: Scaling | None = None) -> list[str]:
        """Return the likeliest label of each of the states [N, D].

        Args:
          scaling: of states of another kind; None scales them as those that the probe was trained
            with. With a scaling of their own, a shift between the two kinds does not matter.
        """
        scaled = (self.scaling if scaling is None else scaling)(states)
        return self.regression.predict(scaled).tolist()


def train_probe(states: np.ndarray, labels: Sequence[str], penalty: float = PENALTY) -> Probe:
    """Train a probe that tells labels from states [N, D].

    Args:
      penalty: inverse strength of the squared penalty on its weights.

    Raises:
      ValueError: there are fewer than two labels, or not as many labels as states.
    """
    if len(labels) != len(states) or len(set(labels)) < 2:
        raise ValueError(
            f"{len(states)} states with {len(labels)} labels of {len(set(labels))} kinds, expected "
            "a label for each and at least 2 kinds"
        )
    scaling = Scaling.of(states)
    regression = LogisticRegression(C=penalty, max_iter=_UPDATES)
    with warnings.catch_warnings():
        # It takes many labels of few states each for numbers.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        regression.fit(scaling(states), list(labels))
    return Probe(scaling, regression)


def right(probe: Probe, states: np.ndarray, labels: Sequence[str], own: bool = False) -> np.ndarray:
    """Return bool[N], for which states a probe finds the label.

    Args:
      own: scale the states by their own mean and deviation.
    """
    found = probe.predict(states, Scaling.of(states) if own else None)
    return np.array([one == label for one, label in zip(found, labels, strict=True)], bool)
