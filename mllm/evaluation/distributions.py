"""Are the numbers of two models of one distribution? Samples compared.

N and M questions. The numbers are of one question each, such as truth ratios (``memorisation``).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import jensenshannon

BINS = 50
_LEAST = 5e-324  # the smallest positive float: p-values below it have no logarithm


class SameDistribution(NamedTuple):
    """The two-sample Kolmogorov-Smirnov test.

    Attributes:
      p_value: the chance that two samples of one distribution differ as much.
      log10_p: its logarithm, since it may be 1e-200; at least -324.
      statistic: the largest distance of the two distribution functions, D.
    """

    p_value: float
    log10_p: float
    statistic: float


def same_distribution(first: Sequence[float], second: Sequence[float]) -> SameDistribution:
    """Return the test that numbers float[N] of one model and float[M] of another are of one
    distribution.

    A monotone function of both samples changes nothing. Questions are taken as independent: where
    several are about one subject, p is too small. D does not depend on this.
    """
    from scipy.stats import ks_2samp  # only here: it takes seconds to import

    found = ks_2samp(first, second)
    p_value = float(found.pvalue)
    return SameDistribution(p_value, math.log10(max(p_value, _LEAST)), float(found.statistic))


def jensen_shannon(first: Sequence[float], second: Sequence[float], bins: int = BINS) -> float:
    """Return the Jensen-Shannon divergence, in bits and so between 0 and 1, of the histograms of
    two samples.

    Args:
      first, second: float[N] and float[M], between 0 and 1, at least one of each.
      bins: of equal width from 0 to 1.
    """
    counts = [np.histogram(sample, bins, (0.0, 1.0))[0] for sample in (first, second)]
    return float(jensenshannon(*counts, base=2)) ** 2
