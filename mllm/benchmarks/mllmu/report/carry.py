"""Whether unlearning from questions of one kind carries over to those of the other."""

from collections.abc import Iterator

from mllm.benchmarks.mllmu.distance import METRIC, TASK
from mllm.benchmarks.mllmu.report.layout import MODALITIES
from mllm.reporting.comparison import Comparison
from mllm.reporting.families import RULE, Apart, family
from mllm.reporting.layout import Cell, Key
from mllm.reporting.numbers import points, signed, signed_span
from mllm.reporting.section import Block, Grid, Paragraph

_HEADS = (
    "Method", "Unlearned from", "Asked with", "Accuracy", "From vanilla", "95%", "Verdict",
)  # fmt: skip
_WORDS = (1, 2, 6)
_NOTE = (
    "Multiple choice by option text on the forget set, in percent and points. A method that "
    "unlearned from questions of one kind is asked with both. It carries over if it is "
    "distinguishably below vanilla on the kind that it did not unlearn from. "
)


def carry_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return the table of methods that unlearned from one kind of pairs, nothing without any."""
    trained = dict(_trained(comparison))
    vanilla = comparison.key("vanilla")
    if vanilla is None or not set(trained.values()) & set(MODALITIES.labels):
        return ()
    rows = []
    tested = {one: family(comparison, trained, vanilla, [_cell(one)]) for one in MODALITIES.labels}
    for key, kind in trained.items():
        for modality in MODALITIES.labels:
            found = comparison.difference(key, vanilla, _cell(modality))
            if found is None:
                continue
            rows.append(
                (
                    comparison.layout.label(key[0]),
                    MODALITIES.labels.get(kind, "both"),
                    MODALITIES.label(modality),
                    points(comparison.entry(key, _cell(modality)).value),
                    signed(found[0]),
                    signed_span(*found[1:3]),
                    _verdict(kind, modality, tested[modality].get(key)),
                )
            )
    if not rows:
        return ()
    note = _NOTE + RULE.format(clusters=comparison.layout.clusters, members="rows")
    grid = Grid("Unlearned from one kind, asked with both", _HEADS, tuple(rows), words=_WORDS)
    return (grid, Paragraph(note, note=True))


def _trained(comparison: Comparison) -> Iterator[tuple[Key, str]]:
    """Yield the methods that were also run with one kind of pairs, and what each row used."""
    kinds = {}
    for key in comparison.methods:
        benchmark = comparison.runs[key][0].config.get("benchmark")
        kinds[key] = benchmark.get("modality", "both") if isinstance(benchmark, dict) else "both"
    several = {key[0] for key, kind in kinds.items() if kind in MODALITIES.labels}
    yield from ((key, kind) for key, kind in kinds.items() if key[0] in several)


def _cell(modality: str) -> Cell:
    return ("forget", TASK, modality, METRIC)


def _verdict(kind: str, modality: str, apart: Apart | None) -> str:
    if apart is None:
        return "–"
    forgot = apart.clear and apart.difference < 0
    if kind in (modality, "both") or kind not in MODALITIES.labels:
        return "forgets" if forgot else "not told apart"
    return "carries over" if forgot else "does not carry over"
