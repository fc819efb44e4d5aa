"""Ellipses against the quantiles of their distribution; paths of two series that a run logged."""

import numpy as np
import pytest

from mllm.reporting.charts import Dot, Scatter, scatter_figure
from mllm.reporting.layout import Style
from mllm.reporting.paths import Trajectory, paths_figure, spaced, together
from mllm.reporting.regions import Region, axes_of

STYLE = Style("#0072B2", "o")
SPREAD = np.array([[4.0, 1.5], [1.5, 1.0]])


def test_the_ellipse_holds_95_percent():
    long, short, angle = axes_of(SPREAD)
    points = np.random.default_rng(0).multivariate_normal([0, 0], SPREAD, 40_000)
    turn = np.radians(angle)
    along = points @ [np.cos(turn), np.sin(turn)] / (long / 2)
    across = points @ [-np.sin(turn), np.cos(turn)] / (short / 2)
    assert np.mean(along**2 + across**2 <= 1) == pytest.approx(0.95, abs=0.005)
    assert 0 < angle % 180 < 45  # it leans as the two numbers move together


def test_seeds_are_small_and_the_mean_carries_the_label():
    nan = (float("nan"),) * 2
    dots = [Dot((x, *nan), (x, *nan), "GA", STYLE, small=True) for x in (10, 20, 60)]
    mean = Dot((30, *nan), (30, *nan), "GA", STYLE)
    corners = [Dot((end,) * 3, (end,) * 3, "", STYLE) for end in (0, 90)]
    region = Region(30, 30, SPREAD, STYLE)
    figure = scatter_figure(
        [Scatter("", (*dots, mean), regions=(region,))], "x", "y", limits=corners
    )
    (axes,) = figure.axes
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert sorted(line.get_markersize() for line in marks) == [3.5, 3.5, 3.5, 7]
    (text,) = axes.texts
    assert text.get_text() == "GA" and text.xy == (30, 30)
    (ellipse,) = axes.patches
    assert tuple(ellipse.center) == (30, 30)
    assert (ellipse.width, ellipse.height) == pytest.approx(axes_of(SPREAD)[:2])


def test_a_path_is_of_the_steps_that_both_series_have():
    series = {"a": ([1.0, 2.0, 3.0, 4.0], [0.1, 0.0, 0.3, 0.4]), "b": ([1.0, 3.0], [5.0, 6.0])}
    assert together(series, "a", "b") == ((0.1, 0.3), (5.0, 6.0))
    assert together(series, "a", "c") == ((), ())
    assert spaced(range(100), 4) == (0, 33, 66, 99) and spaced([7]) == (7,)


def test_paths_end_in_their_marks():
    paths = [Trajectory(name, (1.0, 10.0), (0.1, end), STYLE) for name, end in (("a", 1), ("b", 3))]
    (axes,) = paths_figure(paths, "x", "y").axes
    ends = [
        (*line.get_xdata(), *line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 1
    ]
    assert ends == [(10.0, 1), (10.0, 3)]
    assert {text.get_text() for text in axes.texts} == {"a", "b"}
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_an_axis_of_less_than_two_decades_has_numbers_to_read():
    (axes,) = paths_figure([Trajectory("a", (0.2, 2.1), (1e3, 2e6), STYLE)], "x", "y").axes
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert [text for text in shown if text in ("0.2", "0.5", "1", "2")] == ["0.2", "0.5", "1", "2"]
    assert {"1 k", "100 k"} <= {label.get_text() for label in axes.get_yticklabels()}
