"""Lines about one evaluation, for a terminal: its scores, and how they differ from another's."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mllm.evaluation.statistics import paired_difference
from mllm.reporting.layout import Answers, Cell, Layout


def is_headline(layout: Layout, cell: Cell, protocol: str) -> bool:
    """Return whether a cell holds the metric that stands for its table."""
    if layout.headline is None:
        return True
    values = tuple(cell[layout.axis_names.index(name)] for name in layout.table_axes)
    return layout.headline(values, protocol) == cell[-1]


def score_lines(
    scores: Sequence[Mapping[str, Any]], layout: Layout, protocol: str
) -> Iterator[str]:
    """Yield a line for each headline score, with its interval and count.

    A dash stands where nothing could be scored, or where one cluster gives no interval.
    """
    for score in scores:
        cell = layout.cell(score)
        if is_headline(layout, cell, protocol):
            interval = ", ".join("-" if end is None else f"{end:.3f}" for end in score["ci95"])
            value = "-" if score["value"] is None else f"{score['value']:.3f}"
            yield f"{_padded(cell)} {value} [{interval}] n={score['n']}"


def difference_lines(
    values: Mapping[Cell, Answers],
    reference: Mapping[Cell, Answers],
    layout: Layout,
    protocol: str,
) -> Iterator[str]:
    """Yield a line for each headline score with the difference in points, paired by question.

    Args:
      values, reference: score of each question, by cell. Only questions of both count.
    """
    for cell, found in values.items():
        asked = [place for place in found if place in reference.get(cell, {})]
        if not asked or not is_headline(layout, cell, protocol):
            continue
        difference = paired_difference(
            [found[place] for place in asked],
            [reference[cell][place] for place in asked],
            [place[0] for place in asked],
        )
        ends = (difference.low, difference.high)
        low, high = ("-" if math.isnan(end) else f"{100 * end:+.1f}" for end in ends)
        yield f"{_padded(cell)} {100 * difference.difference:+.1f} [{low}, {high}] n={len(asked)}"


def _padded(cell: Cell) -> str:
    return " ".join(f"{name:<14}" for name in cell)
