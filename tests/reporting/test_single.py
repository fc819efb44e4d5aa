"""Lines about one evaluation name its headline scores, and differences are paired by question."""

from mllm.reporting.layout import Axis, Layout
from mllm.reporting.single import difference_lines, score_lines

LAYOUT = Layout(
    axes=(Axis("size"), Axis("view")),
    columns=("view",),
    headline=lambda values, protocol: {"small": "exact", "large": "loose"}[values[0]],
)


def score(size: str, metric: str, value: float | None, ends=(None, None)) -> dict:
    cell = {"size": size, "view": "front", "metric": metric}
    return {**cell, "value": value, "ci95": list(ends), "n": 7}


def test_headline_scores_have_a_line_each():
    scores = [
        score("small", "exact", 0.5, (0.25, 0.75)),
        score("small", "loose", 0.9),
        score("large", "loose", None),
    ]
    lines = [line.split() for line in score_lines(scores, LAYOUT, "any")]
    assert lines == [
        ["small", "front", "exact", "0.500", "[0.250,", "0.750]", "n=7"],
        ["large", "front", "loose", "-", "[-,", "-]", "n=7"],
    ]
    assert len(list(score_lines(scores, Layout(axes=LAYOUT.axes), "any"))) == 3


def test_only_questions_of_both_count():
    cell, other = ("small", "front", "exact"), ("small", "front", "loose")
    values = {cell: {("a", 1): 1.0, ("b", 1): 1.0, ("b", 2): 0.0}, other: {("a", 1): 1.0}}
    reference = {cell: {("a", 1): 0.0, ("b", 1): 1.0, ("c", 1): 1.0}, other: {("a", 1): 0.0}}
    (line,) = difference_lines(values, reference, LAYOUT, "any")
    assert line.split()[:4] == ["small", "front", "exact", "+50.0"] and line.endswith("n=2")
    assert not list(difference_lines(values, {}, LAYOUT, "any"))
