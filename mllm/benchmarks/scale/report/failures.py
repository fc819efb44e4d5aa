"""Why answers are wrong, and whether two models are wrong alike."""

import itertools
import math
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from mllm.benchmarks.scale.agreement import Agreement, error_agreement
from mllm.benchmarks.scale.failures import FAILURES, Tagged, read_overrides, tag_failures
from mllm.benchmarks.scale.report.study import Study, Subject
from mllm.benchmarks.scale.scorers import Scored
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.section import Block, Drawing, Grid, Heading, Panel, Paragraph, Section
from mllm.reporting.stacked import stacked_figure

OVERRIDES = "failure_tags.jsonl"  # tags set by hand, in the folder of the runs
# Neighbours of a bar differ in hue and in lightness.
COLOURS = (
    "#56B4E9", "#E69F00", "#0072B2", "#F0E442", "#009E73", "#CC79A7", "#D55E00",
    "#8C6BB1", "#66625b", "#A6761D", "#9BD770", "#1B3A6B", "#F4A6A0", "#B8B3A8",
)  # fmt: skip
_RULE = (
    "Every wrong answer has one tag, by the first rule that fits: empty, cut off or repetitive "
    "(F14), refusal (F13), no answer could be read (F9), an object that is not shown (F8), a wrong "
    "number where things are counted (F2), else the tag of the item. The tags of a model sum to "
    "its wrong answers; answers that are right but say more than was asked are counted apart. "
    f"A file {OVERRIDES} in the folder of the runs replaces tags by hand."
)
_BARS = "Wrong answers of each model in percent of all items, by tag; the whole bar is the error."
_AGREEMENT = (
    "If two models failed independently of each other, both would be wrong as often as the column "
    "“if independent” says. κ is Cohen's kappa of right and wrong: 0 for independent "
    "errors, 1 for errors on the same items. The last column is the share of the items that both "
    "get wrong where both give the same wrong answer."
)
_NO_ITEMS = (
    "The items are not on this machine, so that wrong answers cannot be tagged; the report that is "
    "written where the data set lies shows them."
)


def failure_section(study: Study, tagged: Mapping[str, Tagged]) -> Section:
    """Return the tags of wrong answers and the agreement of errors.

    Args:
      tagged: label of a model -> its tags; empty where the items are not on this machine.
    """
    models = [one for one in study.models if one.records]
    blocks: list[Block] = []
    if not study.has_items:
        blocks.append(Paragraph(_NO_ITEMS))
    elif models:
        blocks += _breakdown(models, tagged)
    pairs = agreement_rows(study)
    if pairs:
        blocks += [
            Heading("Do models fail on the same items?"),
            Grid(
                "Agreement of errors",
                ("Models", "Items", "Both wrong", "If independent", "κ", "Same wrong answer"),
                tuple(pairs),
            ),
            Paragraph(_AGREEMENT, note=True),
        ]
    return Section("failures", "How models fail", tuple(blocks), "Failures")


def tag_all(study: Study, workdir: Path) -> dict[str, Tagged]:
    """Return label -> the tags of each model."""
    path = workdir / OVERRIDES
    overrides = read_overrides(path) if path.is_file() else {}
    return {one.label: _tagged(study, one, overrides) for one in study.models}


def _tagged(study: Study, subject: Subject, overrides) -> Tagged:
    asked = study.asked(subject)
    return tag_failures(
        [study.item(record["item"]) for record in asked],
        [scored_of(record) for record in asked],
        [record["reply"] or "" for record in asked],
        ended=[record.get("ended", True) for record in asked],
        names=study.names,
        method=subject.key[0],
        overrides=overrides,
    )


def scored_of(record) -> Scored:
    """Return the score of a record."""
    names = ("value", "parsed", "state", "plain", "metrics")
    return Scored(**{name: record[name] for name in names})


def _breakdown(models: list[Subject], tagged: Mapping[str, Tagged]) -> list[Block]:
    totals = {one.label: len({r["item"] for r in one.records}) for one in models}
    used = [tag for tag in FAILURES if any(tag in one.counts for one in tagged.values())]

    def draw(theme: Theme) -> Figure:
        return bars_figure({name: tagged[name].counts for name in totals}, totals, theme)

    panel = Panel(draw, "Wrong answers of each model by failure tag")
    rows = [
        (f"{tag} {FAILURES[tag]}", *(_count(tagged[name], tag) for name in totals)) for tag in used
    ]
    rows += [
        ("All wrong answers", *(str(len(tagged[name].wrong)) for name in totals)),
        ("Right, but more than asked", *(str(len(tagged[name].form)) for name in totals)),
        ("Items", *(str(count) for count in totals.values())),
    ]
    grid = Grid("Failures by tag", ("Failure", *totals), tuple(rows))
    unused = sorted({id for one in tagged.values() for id in one.unused})
    note = f" These tags set by hand met no wrong answer: {', '.join(unused)}." if unused else ""
    return [
        Drawing((panel,), _BARS, columns=1, saved={"failures": draw}),
        grid,
        Paragraph(_RULE + note, note=True),
    ]


def _count(tagged: Tagged, tag: str) -> str:
    count = tagged.counts.get(tag, 0)
    return f"{count} ({100 * count / len(tagged.wrong):.0f}%)" if count else "0"


def bars_figure(
    counts: dict[str, dict[str, int]], totals: dict[str, int], theme: Theme = LIGHT
) -> Figure:
    """Draw a bar for each model, divided by tags.

    Args:
      counts: label -> tag -> wrong answers.
      totals: label -> items.
    """
    return stacked_figure(
        counts,
        totals,
        {tag: f"{tag} {name}" for tag, name in FAILURES.items()},
        dict(zip(FAILURES, COLOURS, strict=True)),
        "wrong answers (% of items)",
        theme,
        inside={tag: tag for tag in FAILURES},
    )


def agreement_rows(study: Study) -> list[tuple[str, ...]]:
    """Return a row of texts for each pair of models."""
    rows = []
    for first, second in itertools.combinations(study.models[::-1], 2):
        name = f"{first.label}, {second.label}"
        try:
            found = error_agreement(study.outcomes(first), study.outcomes(second))
        except ValueError:
            rows.append((name, "not asked the same", "–", "–", "–", "–"))
            continue
        if found.n:
            rows.append((name, *_agreement(found)))
    return rows


def _agreement(found: Agreement) -> tuple[str, ...]:
    def text(value: float, digits: str) -> str:
        return "–" if math.isnan(value) else digits.format(value)

    return (
        str(found.n),
        text(found.both_wrong, "{:.1%}"),
        text(found.expected, "{:.1%}"),
        text(found.kappa, "{:.2f}"),
        text(found.shared, "{:.1%}"),
    )
