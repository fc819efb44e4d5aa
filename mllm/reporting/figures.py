"""The shared look of all figures: themes, lines and text, and their bytes as SVG or PNG."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from mllm.reporting.text import clean_text


@dataclasses.dataclass(frozen=True)
class Theme:
    """Ink and paper of a figure."""

    ink: str
    muted: str
    grid: str
    paper: str


LIGHT = Theme(ink="#1d1c1a", muted="#66625b", grid="#e4e1da", paper="#ffffff")
DARK = Theme(ink="#e9e6df", muted="#a5a199", grid="#3b3a37", paper="#1b1b1a")

_LABEL_LIMIT = 36  # characters
_MARK_CONTRAST, _TEXT_CONTRAST = 2.0, 4.0


def ink(colour: str, theme: Theme, least: float = _MARK_CONTRAST) -> str:
    """Return a colour of a style as it is drawn on a theme.

    "ink" and "muted" are those of the theme. Any other colour is blended with the theme's ink until
    its contrast with the paper is at least `least`.
    """
    colour = {"ink": theme.ink, "muted": theme.muted}.get(colour, colour)
    start, end = (np.array(to_rgb(one)) for one in (colour, theme.ink))
    for share in np.linspace(0, 1, 21):
        mixed = (1 - share) * start + share * end
        if contrast(mixed, to_rgb(theme.paper)) >= least:
            return colour if share == 0 else to_hex(mixed)
    return theme.ink


def text_ink(colour: str, theme: Theme) -> str:
    """Return a colour of a style as text in it is drawn on a theme."""
    return ink(colour, theme, _TEXT_CONTRAST)


def contrast(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the contrast ratio of two RGB colours in [0, 1], from 1 to 21 (WCAG 2.1)."""
    low, high = sorted(luminance(one) for one in (first, second))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: Sequence[float]) -> float:
    """Return the relative luminance of an RGB colour in [0, 1] (WCAG 2.1)."""
    colour = np.asarray(colour, float)
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def short(label: str) -> str:
    """Return a label that leaves room for the axes."""
    return clean_text(label, _LABEL_LIMIT)


def style(theme: Theme) -> matplotlib.RcParams:
    """Return a context in which figures are drawn in the shared style, the same each time."""
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
    """Return a figure as SVG on a transparent ground, without a date."""
    return _save(figure, theme, "svg", transparent=True, metadata={"Date": None, "Creator": None})


def png(figure: Figure, theme: Theme) -> bytes:
    """Return a figure as PNG at 200 dots per inch."""
    return _save(figure, theme, "png", dpi=200, metadata={"Software": None})


def _save(figure: Figure, theme: Theme, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    with style(theme):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def data_uri(data: bytes, media: str) -> str:
    """Return bytes as a data URI of one media type."""
    return f"data:{media};base64,{base64.b64encode(data).decode('ascii')}"
