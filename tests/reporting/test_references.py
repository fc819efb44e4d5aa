"""Numbers from elsewhere beside measured ones, and settings that were not run."""

import itertools
import math

import numpy as np
import pytest

from mllm.reporting.charts import Dot, Scatter, scatter_figure
from mllm.reporting.comparison import Entry
from mllm.reporting.exports import to_latex
from mllm.reporting.layout import Style
from mllm.reporting.lines import _LABEL_HEIGHT, Line, Lines, _spread, lines_figure
from mllm.reporting.section import Scores, Section
from mllm.reporting.stacked import stacked_figure
from mllm.reporting.tables import Column, Row, Table


def table(*rows):
    return Table("Title", "read", "Method", (Column(("A",), ("A",)),), rows)


def test_a_table_of_references_alone_is_not_measured():
    reference = Row("Elsewhere", "reference", "", (Entry(0.5),))
    ours = Row("Ours", "method", "", (Entry(0.25),))
    assert not table(reference).measured
    assert not table(Row("Ours", "method", "", (Entry(None),)), reference).measured
    assert table(ours, reference).measured


def test_latex_parts_references_from_methods():
    rows = (
        Row("Ours", "method", "", (Entry(0.25),)),
        Row("Elsewhere", "reference", "", (Entry(0.5),)),
        Row("Further", "reference", "", (Entry(None),)),
    )
    text = to_latex([Section("s", "S", (Scores(table(*rows)),))])
    ours, *others = text.split(r"\midrule")[1:]
    assert "Ours" in ours and len(others) == 1
    assert "Elsewhere" in others[0] and "Further & --" in others[0]


def test_a_setting_that_was_not_run_is_a_gap():
    span = (40.0, 30.0, 50.0)
    lines = (
        Line("ours", (span, None, span), Style("ink")),
        Line("elsewhere", (None, (0.0, math.nan, math.nan), None), Style("muted"), True),
    )
    figure = lines_figure(("2", "4", "6"), [Lines("Panel", lines)], "shots", "accuracy")
    whole = [line.get_ydata() for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 3]
    found = {tuple(np.isnan(values)): np.nansum(values) for values in whole}
    assert found == {(False, True, False): 80.0, (True, False, True): 0.0}
    assert [text.get_text() for text in figure.axes[0].texts] == ["elsewhere", "ours"]


@pytest.mark.parametrize("heights", [[0.0, 0.0, 0.0], [5.0, 99.0, 100.0, 100.0], [50.0]])
def test_labels_of_lines_stand_apart(heights):
    placed = _spread(heights, 0.0, 100.0)
    pairs = itertools.pairwise(placed)
    assert all(after - before >= _LABEL_HEIGHT - 1e-9 for before, after in pairs)
    assert min(placed) >= 0 and max(placed) <= 100


def test_corners_are_named_and_labels_keep_off_them():
    dot = Dot(
        (0.0, 0.0, 6.0), (100.0, 94.0, 100.0), "a long label at the corner", Style("ink", "X")
    )
    frame = [Dot((0.0, 0.0, 100.0), (0.0, 0.0, 100.0), "", Style("ink"))]
    words = ("lower left", "lower right", "upper left, a long name", "upper right")
    panel = Scatter("Panel", (dot,), corners=words)
    figure = scatter_figure([panel], "x", "y", limits=frame)
    boxes = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert set(boxes) == {*words, "a long label at the corner"}
    assert not any(boxes["a long label at the corner"].overlaps(boxes[word]) for word in words)
    assert boxes["lower left"].y1 < boxes["upper left, a long name"].y0
    assert boxes["upper left, a long name"].x1 < boxes["upper right"].x0


def test_divided_bars_are_shares_of_all_there_are():
    counts = {"one": {"a": 5, "b": 10}, "two": {}}
    kinds, colours = {"a": "kind a", "b": "kind b", "c": "kind c"}, dict.fromkeys("abc", "#0072B2")
    figure = stacked_figure(counts, {"one": 20, "two": 0}, kinds, colours, "wrong")
    bars = figure.axes[0].patches
    assert [(bar.get_x(), bar.get_width()) for bar in bars[:2]] == [(0, 25), (25, 50)]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["kind a", "kind b"]
