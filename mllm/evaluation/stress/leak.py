"""What comes out when a model is asked often: leak@k."""

from math import comb


def leak_at(leaked: int, asked: int, k: int) -> float:
    """Return the chance that at least one of k replies, drawn from those that were sampled, leaks.

    ``1 - C(asked - leaked, k) / C(asked, k)``, the unbiased estimate that Chen et al. 2021
    (arXiv:2107.03374, eq. 1) give for pass@k. Greedy decoding misses what sampling finds (Scholten
    et al. 2024, arXiv:2410.03523).

    Args:
      leaked: sampled replies that hold the answer. asked: replies that were sampled.

    Raises:
      ValueError: k is not between 1 and ``asked``, or more leaked than were asked.
    """
    if not 1 <= k <= asked or not 0 <= leaked <= asked:
        raise ValueError(
            f"leak_at: {leaked} of {asked} replies, k {k}; expected 0 to {asked} and 1 to {asked}"
        )
    return 1 - comb(asked - leaked, k) / comb(asked, k)
