"""Setting the labels of points where they cover nothing."""

from __future__ import annotations

import dataclasses

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox


@dataclasses.dataclass(frozen=True)
class Label:
    """A text to set near a point (x, y in data units)."""

    x: float
    y: float
    text: str
    colour: str
    weight: str = "normal"


def place_labels(
    axes: Axes, labels: list[Label], obstacles: list[tuple[float, float, float, float]]
) -> None:
    """Set each label near its point where it covers no mark, bar, line or other label.

    `obstacles` are boxes (x0, y0, x1, y1) in data units, lines and points being boxes without
    width. Places are tried around the point at growing distance and the first free one is taken
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
    """Return (offset in points, box in pixels, whether it is far) of the least covered place."""
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
