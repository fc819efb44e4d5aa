"""The headline of the report: methods by their distance to the model that never learned."""

from mllm.benchmarks.mllmu.report.standing import (
    Distance,
    Standing,
    mean_score,
    measured_cells,
    standings,
    tied_with_best,
)
from mllm.reporting.compared import by_seed
from mllm.reporting.comparison import Comparison
from mllm.reporting.families import RULE
from mllm.reporting.layout import Key
from mllm.reporting.numbers import points, span
from mllm.reporting.section import Block, Grid, Paragraph
from mllm.reporting.standard import seed_rule

_HEADS = (
    "Method", "Place", "Sum", "95%", "Beside retain-only", "Beside vanilla", "From retain-only",
    "95%", "Utility lost", "95%", "On forget", "By seed",
)  # fmt: skip
_WORDS = (1, 4, 5, 11)
_RULE = (
    "Multiple choice by option text, averaged over both modalities, in points. From retain-only: "
    "how far the accuracy on the forget set is from that of retain-only{}, above or below. Utility "
    "lost: how far the accuracy on retain and celebrity is below vanilla’s, 0 where it is not. "
    "Methods stand by the sum of the two, those that do not forget last. Place: the method with "
    "the least sum is first; “tied” if its lead is not distinguishable from 0, by the p-values of "
    "the bootstrap, corrected by Holm’s method. Beside retain-only, “beyond” means that the method "
    "knows distinguishably less about the people than a model that never saw them. {}"
)
_SEEDS = "The last column is the accuracy on the forget set in each seed. "
_WITHOUT = " (chance, as there is no retain-only run)"


def ranking_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return the table of standings, or nothing where there are none."""
    found = standings(comparison)
    if not found:
        return ()
    vanilla, target = comparison.key("vanilla"), comparison.key("retain_only")
    tied = tied_with_best(found)
    anchors = [_anchor(comparison, key) for key in (vanilla, target) if key]
    rows = [
        _row(comparison, key, one, _place(rank, key, one, tied))
        for rank, (key, one) in enumerate(found.items(), 1)
    ]
    several = comparison.seeds > 1
    shown = len(_HEADS) if several else -1  # with one seed there is no last column
    rule = _RULE.format("" if target else _WITHOUT, _SEEDS if several else "")
    rule += RULE.format(clusters=comparison.layout.clusters, members="rows")
    return (
        Grid(
            "Methods by their distance to retain-only",
            _HEADS[:shown],
            tuple(row[:shown] for row in (*anchors, *rows)),
            words=_WORDS,
        ),
        Paragraph(rule, note=True),
        Paragraph(seed_rule(comparison), note=True),
    )


def _anchor(comparison: Comparison, key: Key) -> tuple[str, ...]:
    dashes = ("–",) * 9
    forget = points(mean_score(comparison, key, ("forget",)))
    return (comparison.label(key), *dashes, forget, _seeds(comparison, key))


def _row(comparison: Comparison, key: Key, one: Standing, place: str) -> tuple[str, ...]:
    return (
        comparison.label(key),
        place,
        *_distance(one.total),
        _beside(one),
        "forgets" if one.forgot else "not told apart",
        *_distance(one.away),
        *_distance(one.lost),
        points(one.forget),
        _seeds(comparison, key),
    )


def _place(rank: int, key: Key, one: Standing, tied: list[Key]) -> str:
    if not one.forgot:
        return "–"
    return f"{rank}, tied" if key in tied else str(rank)


def _distance(distance: Distance) -> tuple[str, str]:
    return points(distance.value), span(*distance.interval).replace(" to ", "–")


def _seeds(comparison: Comparison, key: Key) -> str:
    """Return the accuracy on the forget set in each seed, a dash where there is one seed."""
    cells = measured_cells(comparison, key, ("forget",))
    found = [by_seed(comparison, key, cell) for cell in cells]
    seeds = sorted(set.intersection(*map(set, found))) if found else []
    if len(seeds) < 2:
        return "–"
    return ", ".join(points(sum(one[seed] for one in found) / len(found)) for seed in seeds)


def _beside(one: Standing) -> str:
    if one.beyond is None:
        return "–"
    if not one.beyond.clear:
        return "not told apart"
    return "beyond" if one.beyond.difference < 0 else "still knows"
