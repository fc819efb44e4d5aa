"""Whether the baselines score what they must: if they do not, no other number can be trusted."""

import dataclasses
import functools
import math
import zlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mllm.benchmarks.scale.outcomes import mean
from mllm.benchmarks.scale.report.study import Study, Subject
from mllm.benchmarks.scale.score import Record
from mllm.benchmarks.scale.scorers import score
from mllm.benchmarks.scale.taxonomy import cell_name
from mllm.reporting.section import Block, Grid, Listing, Paragraph, Section

LEVEL = 0.01  # a baseline that guesses is caught by chance once in a hundred reports
SAMPLES = 20_000
_SHOWN = 6  # cells that a sentence names
_RULE = (
    "Chance is the mean score over the answers that each item can have, which its text makes "
    "equally likely; it is computed, not measured. Random must agree with it; majority and blind, "
    "which see no picture, must not exceed it. The p-value is the share of "
    f"{SAMPLES:,} simulated sets of random guesses that lie at least as far away (for majority "
    f"and blind: as high); a baseline fails below {LEVEL:g}, and in a cell below {LEVEL:g} divided "
    "by the number of cells."
)
_NO_ITEMS = (
    "The items are not on this machine, so that chance cannot be computed for answers that are no "
    "choices. Only the oracle is checked."
)


@dataclasses.dataclass(frozen=True)
class Check:
    """How a baseline stands.

    Attributes:
      value: its mean score.
      chance: the expected score of guessing; NaN where it is not known.
      p_value: NaN where nothing is tested.
      cells: names of the cells in which it fails.
      holds: whether it scores what it must; None where that is not known.
    """

    method: str
    n: int
    value: float
    chance: float
    p_value: float
    cells: tuple[str, ...]
    holds: bool | None


def bracket_section(study: Study) -> Section:
    """Return what the baselines score and what they must score."""
    checks = check_all(study)
    blocks: list[Block] = [Paragraph(verdict(checks))]
    if checks:
        rows = tuple(_row(study, check) for check in checks)
        heads = ("Baseline", "Items", "Score", "Must be", "Chance", "p", "Verdict")
        blocks.append(Grid("Baselines", heads, rows, words=(6,)))
        failing = [(study.comparison.layout.label(check.method), _cells(check.cells))
                   for check in checks if check.cells]  # fmt: skip
        if failing:
            blocks.append(Paragraph("Cells in which a baseline does not hold:"))
            blocks.append(Listing(tuple(failing)))
        blocks.append(Paragraph(_RULE if study.has_items else _NO_ITEMS, note=True))
    return Section("brackets", "Do the baselines hold?", tuple(blocks), "Baselines")


def verdict(checks: Sequence[Check]) -> str:
    """Return a sentence that says whether the baselines hold."""
    failing = [check.method for check in checks if check.holds is False]
    missing = [name for name in ("oracle", "random", "majority", "blind")
               if name not in {check.method for check in checks}]  # fmt: skip
    text = ""
    if failing:
        text = (
            f"Do not trust the scores of this report yet: {', '.join(failing)} "
            f"{'does' if len(failing) == 1 else 'do'} not score what it must. "
        )
    elif checks:
        text = "Every baseline that was run and can be checked scores what it must. "
    return text + (f"Not run: {', '.join(missing)}." if missing else "")


def check_all(study: Study) -> list[Check]:
    """Return how each baseline stands that was run."""
    found = []
    for method in ("oracle", "random", "majority", "blind"):
        subject = study.subject(method)
        if subject and (records := _answered(study, subject)):
            found.append(_check_oracle(records) if method == "oracle"
                         else _check_guesser(study, method, records))  # fmt: skip
    return found


def _answered(study: Study, subject: Subject) -> list[Record]:
    return [record for record in study.asked(subject) if record["value"] is not None]


def _by_cell(records: Sequence[Record]) -> dict[str, list[Record]]:
    cells = defaultdict(list)
    for record in records:
        cells[cell_name((record["suite"], record["format"], record["capability"]))].append(record)
    return cells


def _check_oracle(records: Sequence[Record]) -> Check:
    cells = tuple(name for name, group in _by_cell(records).items()
                  if any(record["value"] < 1 for record in group))  # fmt: skip
    value = mean([record["value"] for record in records])
    return Check("oracle", len(records), value, math.nan, math.nan, cells, not cells)


def _check_guesser(study: Study, method: str, records: Sequence[Record]) -> Check:
    value = mean([record["value"] for record in records])
    if not study.has_items:
        return Check(method, len(records), value, math.nan, math.nan, (), None)
    groups = _by_cell(records)
    drawn = {name: guesses(study, group) for name, group in groups.items()}
    far = functools.partial(p_value, two_sided=method == "random")
    failing = tuple(
        name
        for name, group in groups.items()
        if far(sum(r["value"] for r in group), *drawn[name]) < LEVEL / len(groups)
    )
    sums = np.sum([one for one, _ in drawn.values()], axis=0)
    expected = math.fsum(one for _, one in drawn.values())
    found = far(value * len(records), sums, expected)
    holds = found >= LEVEL and not failing
    return Check(method, len(records), value, expected / len(records), found, failing, holds)


def answer_values(study: Study, record: Record) -> list[float]:
    """Return the score of each answer that an item can have."""
    if record["kind"] == "choice":
        return [1.0] + [0.0] * (len(record["options"]) - 1)
    item = study.item(record["item"])
    # Without candidates (imported free answers) nobody guesses right.
    return [score(item, candidate).value for candidate in item.candidates] or [0.0]


def guesses(study: Study, records: Sequence[Record]) -> tuple[np.ndarray, float]:
    """Return (simulated sums of the scores of random guesses [SAMPLES], their expectation)."""
    seed = zlib.crc32("\n".join(sorted(record["item"] for record in records)).encode())
    generator = np.random.default_rng(seed)
    sums, expected = np.zeros(SAMPLES), 0.0
    for record in records:
        values = np.array(answer_values(study, record))
        sums += values[generator.integers(len(values), size=SAMPLES)]
        expected += values.mean()
    return sums, expected


def p_value(observed: float, sums: np.ndarray, expected: float, *, two_sided: bool) -> float:
    """Return how often random guesses lie as far from their expectation, or as high."""
    slack = 1e-9  # sums of the same scores in another order
    if two_sided:
        far = np.abs(sums - expected) >= abs(observed - expected) - slack
    else:
        far = sums >= observed - slack
    return float(1 + far.sum()) / (1 + len(sums))


def _row(study: Study, check: Check) -> tuple[str, ...]:
    chance = "–" if math.isnan(check.chance) else f"{100 * check.chance:.1f}"
    must = {"oracle": "100", "random": f"= {chance}"}.get(check.method, f"≤ {chance}")
    state = {True: "holds", False: "does not hold", None: "not checked"}[check.holds]
    return (
        study.comparison.layout.label(check.method),
        str(check.n),
        f"{100 * check.value:.1f}",
        must,
        chance,
        "–" if math.isnan(check.p_value) else f"{check.p_value:.3f}",
        state,
    )


def _cells(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
