"""How near numbers, boxes, orders and yes-or-no answers come to the truth: pure functions."""

import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]  # x0, y0, x1, y1


def relaxed_match(reference: float, reply: float, tolerance: float = 0.05) -> float:
    """Return 1 where the reply is within a relative tolerance of the reference, else 0.

    The bound itself counts; a reference of 0 is matched by 0 only (Methani et al. 2020).
    """
    return float(abs(reply - reference) <= tolerance * abs(reference) * (1 + 1e-12))


def mean_absolute_error(references: Sequence[float], replies: Sequence[float]) -> float:
    """Return the mean of |reply - reference|; NaN where there is none.

    Raises:
      ValueError: lengths differ.
    """
    pairs = list(zip(references, replies, strict=True))
    if not pairs:
        return math.nan
    return math.fsum(abs(reply - reference) for reference, reply in pairs) / len(pairs)


def box_iou(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union; 0 where both are empty.

    Raises:
      ValueError: a box ends before it begins.
    """
    for box in (a, b):
        if box[2] < box[0] or box[3] < box[1]:
            raise ValueError(f"box {box} ends before it begins; expected x0 <= x1 and y0 <= y1")
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    either = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - both
    return both / either if either else 0.0


def kendall_tau(a: Sequence[int], b: Sequence[int]) -> float:
    """Return Kendall's rank correlation of two orders of the same different things, -1 to 1.

    NaN for fewer than two things.

    Raises:
      ValueError: they are not orders of the same different things.
    """
    if sorted(a) != sorted(b) or len(set(a)) != len(a):
        raise ValueError(f"{list(a)} and {list(b)} are no orders of the same things")
    place = {thing: at for at, thing in enumerate(b)}
    ranks = [place[thing] for thing in a]
    pairs = len(ranks) * (len(ranks) - 1) // 2
    swapped = sum(ranks[i] > ranks[j] for i in range(len(ranks)) for j in range(i + 1, len(ranks)))
    return 1 - 2 * swapped / pairs if pairs else math.nan


def yes_no_rates(gold: Sequence[bool], said: Sequence[bool | None]) -> dict[str, float]:
    """Return accuracy, precision, recall, F1 and yes-rate of yes-or-no answers.

    None is an answer that says neither: it is wrong, and no yes. A rate without a denominator is
    NaN (precision where nobody says yes, recall where yes is never right).

    Raises:
      ValueError: lengths differ.
    """
    pairs = list(zip(gold, said, strict=True))
    hits = sum(right and answer is True for right, answer in pairs)
    says_yes = sum(answer is True for _, answer in pairs)
    is_yes = sum(right for right, _ in pairs)

    def rate(count: float, total: float) -> float:
        return count / total if total else math.nan

    return {
        "accuracy": rate(sum(answer is right for right, answer in pairs), len(pairs)),
        "precision": rate(hits, says_yes),
        "recall": rate(hits, is_yes),
        "f1": rate(2 * hits, says_yes + is_yes),
        "yes_rate": rate(says_yes, len(pairs)),
    }
