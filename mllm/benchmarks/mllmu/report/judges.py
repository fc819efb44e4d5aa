"""What judges say of free replies, and how far they agree."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from mllm.benchmarks.mllmu.judged import NAME
from mllm.benchmarks.mllmu.report.layout import SETS
from mllm.evaluation.inspection import OPTIONS
from mllm.evaluation.judging.agreement import Agreement, agreement
from mllm.evaluation.judging.case import ASPECTS, ERROR, NO, NONE, UNREAD, YES
from mllm.evaluation.review import read_review
from mllm.evaluation.statistics import mean_interval
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
from mllm.reporting.numbers import points, span
from mllm.reporting.section import Block, Details, Grid, Heading, Paragraph
from mllm.reporting.text import clean_text, join_words

TITLES = {"facts": "Fact match", "rouge": "ROUGE-L", "embedding": "Embedding", "endpoint": "Model"}
FIRST = ("forget", "retain")  # the sets that are shown at once
NOTE = (
    "Percent of blanks and sentences, with 95% intervals that resample people over all seeds. "
    "Relevant: the reply is of the kind that the question asks for, right or wrong. Correct: it "
    "states the fact. What is to be forgotten should stay relevant and no longer be correct; a "
    "model that no longer writes language is neither."
)
_AGREEMENT = (
    "Over the replies of all rows, where each of the judges says yes or no. Kappa: agreement "
    "beyond chance, Cohen’s of two judges, with a 95% interval that resamples people, and Fleiss’ "
    "of all."
)
_MISSING = (
    "Replies of {} were not judged, or by other options: evaluate with --config.evaluation.judges."
)


class Judged(NamedTuple):
    """The judged replies of a row of the tables, of all its seeds."""

    key: Key
    rows: Sequence[Mapping[str, Any]]


def judge_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return the verdicts of each judge and their agreement; nothing where no run was judged."""
    kept = {
        key: [one for run in runs if (one := read_review(run.records_path, NAME, run.manifest))]
        for key, runs in comparison.runs.items()
    }
    named = _common_judges([one for found in kept.values() for one in found])
    if not named:
        return ()
    alike = {
        key: [one for one in found if one[OPTIONS]["judges"] == named]
        for key, found in kept.items()
    }
    judged = [
        Judged(key, [row for one in found for row in one["cases"]])
        for key, found in alike.items()
        if found
    ]
    blocks: list[Block] = [Paragraph(NOTE, note=True)]
    for judge in named:
        blocks += [Heading(_title(judge)), _grid(comparison, judged, judge, FIRST)]
        others = tuple(name for name in SETS.labels if name not in FIRST)
        grid = _grid(comparison, judged, judge, others)
        if len(grid.heads) > 1:
            blocks.append(Details(f"{_title(judge)}: {join_words(others)}", (grid,)))
    blocks += [Heading("Judges"), _judges(named, judged)]
    if len(named) > 1:
        blocks += [_agreements(named, judged), Paragraph(_AGREEMENT, note=True)]
    missing = [key for key, runs in comparison.runs.items() if len(alike[key]) < len(runs)]
    if missing:
        labels = join_words([comparison.label(key) for key in missing])
        blocks.append(Paragraph(_MISSING.format(labels), note=True))
    return tuple(blocks)


def _common_judges(found: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the judges, with their identities, of most of the runs; verdicts of others share no
    table with theirs.
    """
    counts = Counter(json.dumps(one[OPTIONS]["judges"]) for one in found)
    return json.loads(counts.most_common(1)[0][0]) if counts else {}


def _title(judge: str) -> str:
    return TITLES.get(judge, clean_text(judge, 40))


def _grid(
    comparison: Comparison, judged: Sequence[Judged], judge: str, sets: Sequence[str]
) -> Grid:
    """Return relevance and correctness on sets, without columns in which nothing was judged."""
    columns = {
        f"{SETS.label(name)}: {aspect}": [_share(one.rows, judge, name, aspect) for one in judged]
        for name in sets
        for aspect in ASPECTS
    }
    columns = {head: texts for head, texts in columns.items() if set(texts) != {"–"}}
    rows = tuple(
        (comparison.label(one.key), *(texts[place] for texts in columns.values()))
        for place, one in enumerate(judged)
    )
    return Grid(f"Judged replies: {_title(judge)}", ("Method", *columns), rows)


def _share(rows: Sequence[Mapping[str, Any]], judge: str, name: str, aspect: str) -> str:
    """Return the share of the replies about a set of which a judge says yes, and its interval."""
    of_set = [
        (row["verdicts"][judge][aspect], row["cluster"]) for row in rows if row["set"] == name
    ]
    said = [(float(verdict == YES), person) for verdict, person in of_set if verdict in (YES, NO)]
    if not said:
        return "–"
    values, people = zip(*said, strict=True)
    low, high = mean_interval(values, people)
    interval = f" ({span(low, high)})" if low is not None and low < high else ""
    return f"{points(float(np.mean(values)))}{interval}"


def _judges(named: Mapping[str, Any], judged: Sequence[Judged]) -> Grid:
    """Return who judged, and of how many verdicts nothing could be read."""
    rows = []
    for judge, identity in named.items():
        counts = Counter(
            verdict
            for one in judged
            for row in one.rows
            for verdict in row["verdicts"][judge].values()
        )
        told = ", ".join(f"{name} {value}" for name, value in identity.items() if value)
        asked = sum(counts.values()) - counts[NONE]
        numbers = (f"{count:,}" for count in (asked, counts[UNREAD], counts[ERROR]))
        rows.append((_title(judge), clean_text(told, 160), *numbers))
    heads = ("Judge", "Made of", "Verdicts", "Not readable", "Failed")
    return Grid("Judges", heads, tuple(rows), words=(1,))


def _agreements(named: Mapping[str, Any], judged: Sequence[Judged]) -> Grid:
    rows = [row for one in judged for row in one.rows]
    people = [row["cluster"] for row in rows]
    shown = []
    for aspect in ASPECTS:
        said = {judge: [row["verdicts"][judge][aspect] for row in rows] for judge in named}
        said = {judge: verdicts for judge, verdicts in said.items() if set(verdicts) != {NONE}}
        groups = list(combinations(said, 2)) + ([tuple(said)] if len(said) > 2 else [])
        for group in groups:
            found = agreement({judge: said[judge] for judge in group}, people)
            if found.n:
                shown.append((aspect, join_words([_title(one) for one in group]), *_said(found)))
    heads = ("Aspect", "Judges", "Replies", "Same verdict", "Kappa")
    return Grid("Agreement of judges", heads, tuple(shown), words=(1,))


def _said(found: Agreement) -> tuple[str, str, str]:
    kappa = "–" if np.isnan(found.kappa) else f"{found.kappa:.2f}".replace("-", "−")
    if found.ci95[0] is not None:
        low, high = (f"{end:.2f}".replace("-", "−") for end in found.ci95)
        kappa += f" ({low} to {high})"
    return f"{found.n:,}", points(found.agreed), kappa
