"""The axes of a report with the values that its runs have."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from mllm.reporting.layout import Axis, Layout
from mllm.reporting.runs import Run


def axes_of(
    layout: Layout,
    runs: Sequence[Run],
    order: Mapping[str, Sequence[str]],
    label: Callable[[str, str], str],
) -> tuple[Axis, ...]:
    """Return the axes of a layout with the values that runs have scores for.

    Args:
      order: of each axis, its known values as tables list them.
      label: (axis, value) -> what a reader sees.
    """

    def filled(axis: Axis) -> Axis:
        found = in_order(
            (score[axis.name] for run in runs for score in run.scores), order[axis.name]
        )
        return dataclasses.replace(axis, labels={value: label(axis.name, value) for value in found})

    return tuple(map(filled, layout.axes))


def in_order(values: Iterable[str], known: Sequence[str]) -> list[str]:
    """Return values, each once, in the order of the known ones; others follow by name."""
    places = {value: place for place, value in enumerate(known)}
    return sorted(set(values), key=lambda value: (places.get(value, len(places)), value))
