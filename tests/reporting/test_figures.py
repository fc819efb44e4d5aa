"""The general figures draw the numbers they are given."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mllm.reporting.charts import (
    Bar,
    Curve,
    Dot,
    Intervals,
    Scatter,
    curves_figure,
    intervals_figure,
    pareto_front,
    scatter_figure,
)
from mllm.reporting.figures import DARK, LIGHT, ink, svg, text_ink
from mllm.reporting.heatmap import heat_map
from mllm.reporting.layout import Layout, Style

NAN = float("nan")


def dot(x, y, label="a"):
    return Dot((x, x - 0.1, x + 0.1), (y, NAN, NAN), label, Style("ink", "s"))


def test_the_front_holds_what_no_other_point_beats():
    dots = [dot(x, y, f"{x},{y}") for x, y in ((1, 5), (2, 4), (2, 7), (3, 7), (4, 9), (1, 3))]
    generator = np.random.default_rng(0)
    dots += [dot(*pair, str(pair)) for pair in generator.uniform(1, 9, (40, 2)).tolist()]

    def beaten(one):
        return any(
            (other.x[0] <= one.x[0] and other.y[0] >= one.y[0])
            and (other.x[0] < one.x[0] or other.y[0] > one.y[0])
            for other in dots
        )

    expected = sorted((one for one in dots if not beaten(one)), key=lambda one: one.x[0])
    assert pareto_front(dots) == expected


def test_scatter_labels_each_name_once_and_keeps_to_its_limits():
    dots = (dot(1, 10), dot(2, 20), dot(1.5, 15, "b"))
    figure = scatter_figure([Scatter("left", dots, x_guide=1.2)], "cost", "score",
                            limits=[*dots, dot(50, 90)])  # fmt: skip
    (axes,) = figure.axes
    assert sorted(text.get_text() for text in axes.texts) == ["a", "b"]
    assert axes.get_xlim()[1] > 50 and axes.get_ylim()[1] > 90
    logarithmic = scatter_figure([Scatter("", dots)], "cost", "score", DARK, log_x=True, front=True)
    ticks = [tick.get_text() for tick in logarithmic.axes[0].get_xticklabels()]
    assert logarithmic.axes[0].get_xscale() == "log" and "1" in ticks and "10" in ticks


def test_intervals_stand_in_their_rows():
    bars = (Bar(0, (1, 0, 3), Style("ink")), Bar(1, (2, 1, 4), Style("muted"), 0.2, filled=False))
    figure = intervals_figure(["first", "second"], [Intervals("", bars, (0, 1))], "points")
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["first", "second"]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks] == [(1, 0), (2, 1.2)]
    assert marks[1].get_markerfacecolor() == LIGHT.paper


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_heat_map_writes_each_number_on_a_ground_it_can_be_read_on(theme):
    values = [[0.0, 25.0, None], [50.0, 75.0, 100.0]]
    notes = [["", "low", "dropped"], ["", "", "high"]]
    figure = heat_map(values, ["r1", "r2"], ["c1", "c2", "c3"], theme, notes=notes)
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["0.0", "25.0", "low", "–", "50.0", "75.0", "100.0", "high"]
    pixels = axes.images[0].get_array()
    for text in axes.texts:
        x, y = (round(float(place)) for place in text.get_position())
        assert contrast(to_rgb(text.get_color()), pixels[y, x]) > 4.5
    assert svg(figure, theme).startswith(b"<?xml")


def test_heat_map_of_differences_is_neutral_at_its_centre():
    figure = heat_map([[-20, 0, 20]], ["r"], ["a", "b", "c"], low=-20, high=20, centre=0)
    left, middle, right = figure.axes[0].images[0].get_array()[0]
    assert list(middle) == pytest.approx(to_rgb(LIGHT.grid), abs=0.01)
    assert left[0] > left[2] and right[2] > right[0]
    assert [text.get_text() for text in figure.axes[0].texts] == ["−20.0", "+0.0", "+20.0"]


def contrast(first, second):
    """Return the contrast ratio of two colours (WCAG 2.1)."""

    def luminance(colour):
        colour = np.asarray(colour, float)
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_curves_show_what_was_logged():
    series = {"loss": ([1.0, 2.0], [5.0, 4.0]), "rate": ([1.0], [0.1])}
    curves = {"loss": Curve("loss"), "kl": Curve("KL", "--")}
    (axes,) = curves_figure("run", series, curves).axes
    assert [line.get_label() for line in axes.lines] == ["loss"]
    assert curves_figure("run", {"rate": ([1.0], [0.1])}, curves) is None


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_colours_stand_out_from_the_paper(theme):
    for colour in ("ink", "muted", "#0072B2", "#E69F00", "#000000", "#ffffff"):
        assert contrast(to_rgb(ink(colour, theme)), to_rgb(theme.paper)) >= 2
        assert contrast(to_rgb(text_ink(colour, theme)), to_rgb(theme.paper)) >= 4
    assert ink("#0072B2", LIGHT) == "#0072B2" and ink("ink", theme) == theme.ink


def test_methods_without_a_style_differ_in_colour_and_mark():
    layout = Layout(styles={"known": Style("ink")})
    methods = ["known", *(f"m{number}" for number in range(6))]
    found = {layout.style(method, methods) for method in methods}
    assert len(found) == 7 and len({style.colour for style in found}) == 7
    assert layout.style("oracle", [*methods, "oracle"]).marker == "*"
