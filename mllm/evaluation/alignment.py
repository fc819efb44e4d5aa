"""How alike two sets of states of the same things are, whatever their coordinates.

N things, D and E widths, S shuffles.
"""

import numpy as np


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Return the centred kernel alignment of linear kernels, at most 1.

    1: equal but for rotation, scale and shift. The estimate of HSIC is unbiased, so that unrelated
    states give about 0 on average and not, as plain CKA does where N is no larger than the widths,
    nearly 1. NaN where all rows of one are equal.

    Kornblith et al. 2019 (arXiv:1905.00414), with the estimator of Song et al. 2012, equation 5.

    Args:
      first, second: [N, D] and [N, E]; row n of both is of the same thing.

    Raises:
      ValueError: numbers of rows differ, or are below 4.
    """
    grams = _gram(first), _gram(second)
    if len(grams[0]) != len(grams[1]) or len(grams[0]) < 4:
        raise ValueError(
            f"states of {len(grams[0])} and {len(grams[1])} things, expected the same number, at "
            "least 4"
        )
    return _alignment(*grams)


def shuffled_cka(
    first: np.ndarray, second: np.ndarray, shuffles: int = 200, seed: int = 0
) -> np.ndarray:
    """Return float64[S], ``linear_cka`` of states whose rows are paired at random."""
    generator = np.random.default_rng(seed)
    a, b = _gram(first), _gram(second)
    orders = (generator.permutation(len(b)) for _ in range(shuffles))
    return np.array([_alignment(a, b[order][:, order]) for order in orders])


def _gram(states: np.ndarray) -> np.ndarray:
    """Return the products float64[N, N] of rows less their mean, with zeros on the diagonal."""
    states = np.asarray(states, np.float64)
    centred = states - states.mean(axis=0)
    gram = centred @ centred.T
    np.fill_diagonal(gram, 0)
    return gram


def _alignment(a: np.ndarray, b: np.ndarray) -> float:
    scale = _hsic(a, a) * _hsic(b, b)
    return _hsic(a, b) / np.sqrt(scale) if scale > 0 else float("nan")


def _hsic(a: np.ndarray, b: np.ndarray) -> float:
    n = len(a)
    rest = a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 * (a.sum(0) @ b.sum(0)) / (n - 2)
    return float(((a * b).sum() + rest) / (n * (n - 3)))
