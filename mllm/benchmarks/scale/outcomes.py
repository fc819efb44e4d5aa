"""What a method answered to each item, in the form in which two methods are compared."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mllm.benchmarks.scale.taxonomy import Cell, cell_name


@dataclass(frozen=True)
class Outcome:
    """One answer.

    Attributes:
      cell: of the item.
      prompt: digest of what was asked, without a model's own chat format.
      value: of the answer, 0 to 1; None where the call failed.
      right: whether it is right.
      answer: as it was read; None where the reply states none.
    """

    cell: Cell
    prompt: str
    value: float | None
    right: bool
    answer: str | None = None


@dataclass(frozen=True)
class Outcomes:
    """The answers of one method.

    Attributes:
      method: its name.
      data: fingerprint of the benchmark.
      by_item: the outcome of each item that was asked, by id.
    """

    method: str
    data: str
    by_item: Mapping[str, Outcome]


Pairs = dict[str, list[tuple[Outcome, Outcome]]]


def paired(a: Outcomes, b: Outcomes, by: Callable[[Cell], str] = cell_name) -> Pairs:
    """Return the outcomes of both methods item by item, grouped by a name of the cell.

    Items whose call failed with either method are left out; a group may be empty.

    Raises:
      ValueError: the two were not asked the same: data, items or prompts differ.
    """
    require_comparable(a, b)
    groups: Pairs = {}
    for item, left in sorted(a.by_item.items()):
        group, right = groups.setdefault(by(left.cell), []), b.by_item[item]
        if left.value is not None and right.value is not None:
            group.append((left, right))
    return groups


def require_comparable(a: Outcomes, b: Outcomes) -> None:
    """Raise ValueError where two methods were not asked the same questions about the same data."""
    names = f"{a.method} and {b.method}"
    if a.data != b.data:
        raise ValueError(
            f"{names} were evaluated on different data ({a.data[:12]} and {b.data[:12]}); "
            "evaluate both on one benchmark"
        )
    for one, other in ((a, b), (b, a)):
        missing = sorted(set(one.by_item) - set(other.by_item))
        if missing:
            raise ValueError(
                f"{names}: {other.method} was not asked {len(missing)} of the "
                f"{len(one.by_item)} items of {one.method}, first {missing[0]!r}; "
                "evaluate both on the same items"
            )
    for item, left in sorted(a.by_item.items()):
        right = b.by_item[item]
        if left.prompt != right.prompt or left.cell != right.cell:
            raise ValueError(
                f"{names}: item {item!r} was asked with different prompts ({left.prompt[:12]} and "
                f"{right.prompt[:12]}); evaluate both by the same protocol"
            )


def mean(values: list[float]) -> float:
    """Return the mean, NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan
