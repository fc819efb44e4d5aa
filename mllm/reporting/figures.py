"""The shared look of all figures: colours, marks, themes, and their bytes as SVG or PNG."""

from __future__ import annotations

import base64
import dataclasses
import io

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from mllm.reporting.collect import ANCHORS


@dataclasses.dataclass(frozen=True)
class Theme:
    """Ink and paper of a figure; the colours of the methods are the same on both."""

    ink: str
    muted: str
    grid: str
    paper: str


LIGHT = Theme(ink="#1d1c1a", muted="#66625b", grid="#e4e1da", paper="#ffffff")
DARK = Theme(ink="#e9e6df", muted="#a5a199", grid="#3b3a37", paper="#1b1b1a")

# Colours of Okabe and Ito (2008), which readers with any colour vision tell apart; vanilla takes
# the ink of the theme, base a grey.
_COLOURS = {
    "retain_only": "#009E73",
    "ga": "#D55E00",
    "grad_diff": "#E69F00",
    "kl_min": "#56B4E9",
    "npo": "#0072B2",
    "prompting": "#CC79A7",
}
_MARKERS = {"ga": "o", "grad_diff": "s", "kl_min": "^", "npo": "D", "prompting": "P"}
_LATER_COLOURS = ("#8C6BB1", "#A6761D", "#4D9221", "#C51B7D", "#7F7F7F", "#1B7837")
_LATER_MARKERS = ("v", "X", "p", "h", "<", ">")


def colour(method: str, methods: list[str], theme: Theme) -> str:
    """Returns the colour of a method; later methods take theirs by their place in `methods`."""
    if method == "vanilla":
        return theme.ink
    if method == "base":
        return theme.muted
    return _COLOURS.get(method) or _later(method, methods, _LATER_COLOURS)


def marker(method: str, methods: list[str]) -> str:
    """Returns the mark of a method; the anchors are stars."""
    if method in ANCHORS:
        return "*"
    return _MARKERS.get(method) or _later(method, methods, _LATER_MARKERS)


def _later(method: str, methods: list[str], choices: tuple[str, ...]) -> str:
    later = sorted(set(methods) - set(_COLOURS) - {"vanilla", "base"})
    return choices[later.index(method) % len(choices)] if method in later else choices[0]


def style(theme: Theme) -> matplotlib.RcParams:
    """Returns a context in which figures are drawn in the shared style, the same each time."""
    return matplotlib.rc_context(
        {
            "svg.hashsalt": "mllm",
            "svg.fonttype": "path",
            "font.family": "DejaVu Sans",
            "font.size": 9,
            "axes.titlesize": 9.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 8.5,
            "axes.labelcolor": theme.muted,
            "axes.edgecolor": theme.muted,
            "axes.linewidth": 0.6,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": theme.grid,
            "grid.linewidth": 0.6,
            "text.color": theme.ink,
            # Model and method names are text, never mathematics.
            "text.parse_math": False,
            "xtick.color": theme.muted,
            "ytick.color": theme.muted,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "xtick.major.size": 2.5,
            "ytick.major.size": 2.5,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "lines.linewidth": 1.3,
            "lines.solid_capstyle": "round",
            "figure.facecolor": theme.paper,
            "savefig.facecolor": theme.paper,
            "figure.dpi": 100,
        }
    )


def svg(figure: Figure, theme: Theme) -> bytes:
    """Returns a figure as SVG on a transparent ground, without a date."""
    return _save(figure, theme, "svg", transparent=True, metadata={"Date": None, "Creator": None})


def png(figure: Figure, theme: Theme) -> bytes:
    """Returns a figure as PNG at 200 dots an inch."""
    return _save(figure, theme, "png", dpi=200, metadata={"Software": None})


def _save(figure: Figure, theme: Theme, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    with style(theme):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def data_uri(data: bytes, media: str) -> str:
    """Returns bytes as a data URI of one media type."""
    return f"data:{media};base64,{base64.b64encode(data).decode('ascii')}"


@dataclasses.dataclass(frozen=True)
class Label:
    """A text to be set beside a point (x, y in data units)."""

    x: float
    y: float
    text: str
    colour: str
    weight: str = "normal"


def place_labels(
    axes: Axes, labels: list[Label], obstacles: list[tuple[float, float, float, float]]
) -> None:
    """Sets each label near its point where it covers no mark, bar, line or other label.

    `obstacles` are boxes (x0, y0, x1, y1) in data units, lines and points being boxes without
    width. Tries places around the point at growing distance and takes the first that is free
    (the least covered one where none is); a label away from its point gets a thin line to it.
    """
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    scale = axes.figure.dpi / 72
    taken = []
    for x0, y0, x1, y1 in obstacles:
        corners = axes.transData.transform([(x0, y0), (x1, y1)])
        point = x0 == x1 and y0 == y1
        taken.append(Bbox(corners).padded((5 if point else 0.5) * scale))
    frame = axes.get_window_extent(renderer)
    for label in sorted(labels, key=lambda label: (-label.y, label.x)):
        text = axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8.5,
            color=label.colour,
            fontweight=label.weight,
            zorder=6,
        )
        extent = text.get_window_extent(renderer)
        # The box of a text has room for accents and tails; its letters need less.
        extent = extent.padded(0, -0.12 * extent.height)
        offset, box, far = _free_place(extent, taken, frame, scale)
        text.set_position(offset)
        taken.append(box.padded(1.5 * scale))
        if far:
            end = axes.transData.inverted().transform(_nearest(box, (label.x, label.y), axes))
            line = axes.plot([label.x, end[0]], [label.y, end[1]], scalex=False, scaley=False)[0]
            line.set(color=label.colour, linewidth=0.5, alpha=0.6, zorder=1.5)


def _free_place(
    extent: Bbox, taken: list[Bbox], frame: Bbox, scale: float
) -> tuple[tuple[float, float], Bbox, bool]:
    """Returns (offset in points, box in pixels, whether it is far) of the least covered place."""
    width, height = extent.width / scale, extent.height / scale
    best = None
    for radius in (4, 7, 11, 16, 22, 29, 37):
        for across, up in ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1)):
            reach = radius * (0.6 if across and up else 1.4)
            offset = across * (reach + width / 2), up * (reach + height / 2)
            box = extent.translated(offset[0] * scale, offset[1] * scale)
            cost = sum(_overlap(box, other) for other in taken) + 4 * _outside(box, frame)
            if best is None or cost < best[0] - 1e-9:
                best = cost, offset, box, radius > 11
        if best[0] == 0:
            break
    return best[1:]


def _overlap(first: Bbox, second: Bbox) -> float:
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    return max(0.0, width) * max(0.0, height)


def _outside(box: Bbox, frame: Bbox) -> float:
    return box.width * box.height - _overlap(box, frame)


def _nearest(box: Bbox, point: tuple[float, float], axes: Axes) -> tuple[float, float]:
    x, y = axes.transData.transform(point)
    return min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1)
