"""AUC against the number of items of a block, where the recommender was taught with several."""

import math

from mllm.benchmarks.msr.report.layout import HEADLINE, NAMES
from mllm.benchmarks.msr.report.study import Study, Subject, ends
from mllm.reporting.lines import Line, Lines, lines_figure
from mllm.reporting.section import Drawing, Panel

_CAPTION = (
    "AUC of recommenders whose preferences are written from blocks of so many items, all else "
    "being equal. Bars are 95% intervals over users."
)


def block_drawing(study: Study) -> Drawing | None:
    """Return the curve; None where there are fewer than two sizes."""
    found = by_size(study)
    if len(found) < 2:
        return None
    panel = Panel(
        lambda theme: _figure(study, found, theme), "AUC by the number of items of a block"
    )
    return Drawing((panel,), _CAPTION, columns=1, saved={"blocks": panel.draw})


def by_size(study: Study) -> dict[int, Subject]:
    """Return the recommender and those of its ablations that change the size of a block alone, by
    that size, as far as they have a score.
    """
    mine, found = study.recommender, {}
    for one in () if mine is None else (mine, *study.ablations):
        size = _preferences(one).get("block")
        same = _without_block(one) == _without_block(mine)
        if same and isinstance(size, int) and study.entry(one).value is not None:
            found.setdefault(size, one)
    return dict(sorted(found.items()))


def _preferences(one: Subject) -> dict:
    return dict(one.reading.get("preferences") or {})


def _without_block(one: Subject) -> dict:
    preferences = {key: value for key, value in _preferences(one).items() if key != "block"}
    return {**one.reading, "preferences": preferences}


def _figure(study: Study, found: dict[int, Subject], theme):
    spans = tuple(ends(study.entry(one)) for one in found.values())
    known = [end for span in spans for end in span if math.isfinite(end)]
    limits = 10 * math.floor(min(known) / 10), 10 * math.ceil(max(known) / 10)
    line = Line(study.recommender.label, spans, study.comparison.style(study.recommender.key[0]))
    y_label = f"{NAMES[HEADLINE]} (%)"
    panel = Lines("", (line,))
    names = list(map(str, found))
    return lines_figure(names, [panel], "items of a block", y_label, theme, limits=limits)
