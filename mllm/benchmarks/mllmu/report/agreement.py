"""Which measures put the methods into the same order: rank correlations over unlearned models."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mllm.benchmarks.mllmu.distance import UTILITY_SETS
from mllm.benchmarks.mllmu.report.measures import TABLES, measures_by_run
from mllm.benchmarks.mllmu.report.standing import cells_of
from mllm.reporting.comparison import Comparison
from mllm.reporting.runs import Run
from mllm.reporting.section import Block, Heat, Paragraph

LEAST_RUNS = 8  # fewer say little about an order
_ACCURACY, _KEPT, _ROUGE = "Accuracy, forget", "Accuracy, kept", "ROUGE-L, forget"
# Names of TABLES that belong to fluency of single sets and would only widen the table.
_LEFT_OUT = ("distinct", "repetition", "likelihood", "base_loss")
_NOTE = (
    "Spearman’s rank correlation times 100 over {} runs of unlearned models. Blue: the two put the "
    "models into the same order; orange: into the opposite one, as a probability and a distance "
    "do. Runs of one method are alike, so there are fewer independent orders than runs."
)


def agreement_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return the correlations of every two measures; nothing where too few runs were measured."""
    runs = [
        {**_scores(run), **measured}
        for key, seeds in measures_by_run(comparison).items()
        if key in comparison.methods
        for run, measured in seeds
    ]
    if len(runs) < LEAST_RUNS:
        return ()
    labels = {_ACCURACY: _ACCURACY, _KEPT: _KEPT, _ROUGE: _ROUGE}
    for measures in TABLES.values():
        labels |= {name: label for name, label in measures.items() if _shown(name)}
    named = {
        label: [run.get(name) for run in runs]
        for name, label in labels.items()
        if sum(_known(run.get(name)) for run in runs) >= LEAST_RUNS
    }
    rows = tuple((label, tuple(correlations(named, label))) for label in named)
    table = Heat("Agreement of measures", ("Measure", *named), rows, limit=1.0)
    return (table, Paragraph(_NOTE.format(len(runs)), note=True))


def correlations(named: Mapping[str, Sequence[float | None]], label: str) -> list[float | None]:
    """Return Spearman's correlation of one measure with each, over runs that have both; None where
    there are too few or one of the two is constant.
    """
    from scipy.stats import spearmanr  # only here: it takes seconds to import

    found: list[float | None] = []
    for other in named.values():
        pairs = [
            (one, two)
            for one, two in zip(named[label], other, strict=True)
            if _known(one) and _known(two)
        ]
        ours, theirs = zip(*pairs, strict=True) if pairs else ((), ())
        constant = len(set(ours)) < 2 or len(set(theirs)) < 2
        few = len(pairs) < LEAST_RUNS
        found.append(None if few or constant else float(spearmanr(ours, theirs).statistic))
    return found


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _shown(name: str) -> bool:
    return not name.startswith(_LEFT_OUT)


def _scores(run: Run) -> dict[str, float | None]:
    """Return the scores of a run that stand next to its measures, means over modalities."""
    values = {
        (score["set"], score["task"], score["modality"], score["metric"]): score["value"]
        for score in run.scores
    }
    rouge = [cell for cell in values if (cell[0], cell[-1]) == ("forget", "rougeL")]
    cells = {
        _ACCURACY: cells_of(("forget",)),
        _KEPT: cells_of(UTILITY_SETS),
        _ROUGE: rouge,
    }
    found = {}
    for name, some in cells.items():
        known = [values[cell] for cell in some if values.get(cell) is not None]
        found[name] = float(np.mean(known)) if known else None
    return found
