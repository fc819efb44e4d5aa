"""The parts of a report: sections of blocks, which each output format draws in its own way."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mllm.reporting.figures import LIGHT, Theme, svg
from mllm.reporting.tables import Table
from mllm.reporting.words import Piece

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Theme], "Figure"]


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text; a note is set smaller."""

    text: str
    note: bool = False
    kind: str = dataclasses.field(default="paragraph", init=False)


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: str = dataclasses.field(default="heading", init=False)


@dataclasses.dataclass(frozen=True)
class Scores:
    """A table of scores; with `rates`, each cell also shows its states and number of questions."""

    table: Table
    rates: bool = False
    kind: str = dataclasses.field(default="scores", init=False)


@dataclasses.dataclass(frozen=True)
class Link:
    """A text that leads to the block of an id on the same page."""

    text: str
    to: str


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table of texts; the first column names the rows. `words` are columns set to the left."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str | Link, ...], ...]
    words: tuple[int, ...] = ()
    kind: str = dataclasses.field(default="grid", init=False)


@dataclasses.dataclass(frozen=True)
class Heat:
    """A table of differences in points whose cells are shaded, below 0 and above in two colours.

    Attributes:
      heads: of the column of labels and of each column of numbers.
      rows: a label, and a fraction of 1 for each column, None where there is none.
      limit: the fraction from which a cell has the full shade.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float | None, ...]], ...]
    limit: float = 0.5
    kind: str = dataclasses.field(default="heat", init=False)

    def shade(self, value: float | None) -> str:
        """Return the name of a shade: "low" or "high" and 1 to 4, "" without one."""
        if value is None:
            return ""
        depth = min(4, round(4 * abs(value) / self.limit))
        return f"{'low' if value < 0 else 'high'}{depth}" if depth else ""


@dataclasses.dataclass(frozen=True)
class Shares:
    """What each row is divided into, as a bar with the percentages next to it.

    Attributes:
      kinds: up to four; the bar shows them in this order.
      rows: a label, and the share of 1 of each kind.
    """

    title: str
    kinds: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    kind: str = dataclasses.field(default="shares", init=False)


@dataclasses.dataclass(frozen=True)
class Panel:
    """One drawing of a figure block, made for each theme; `text` describes it for a reader who
    does not see it.
    """

    draw: Draw
    text: str

    @functools.cached_property
    def light(self) -> bytes:
        """The drawing for light pages, as SVG."""
        return svg(self.draw(LIGHT), LIGHT)


@dataclasses.dataclass(frozen=True)
class Drawing:
    """Panels in a grid of at most `columns` columns with one caption.

    `saved` are the figures that stand in files of their own: file name without its ending -> how
    to draw it, as SVG and, if `png`, also as PNG.
    """

    panels: tuple[Panel, ...]
    caption: str = ""
    columns: int = 2
    saved: Mapping[str, Draw] = dataclasses.field(default_factory=dict)
    png: bool = True
    kind: str = dataclasses.field(default="drawing", init=False)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one row of the tables answered; `right` is None where no rule decides it.

    `picture` is the data URI of an answer that is a picture. `changes` are the words by which the
    text differs from that of the row it is compared with (``words.word_changes``).
    """

    label: str
    text: str
    state: str = "valid"
    right: bool | None = None
    picture: str = ""
    changes: tuple[Piece, ...] = ()


@dataclasses.dataclass(frozen=True)
class Bars:
    """Shares of 1 as small bars with their numbers; `marked` are places of rows set in bold."""

    title: str
    rows: tuple[tuple[str, float], ...]
    marked: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Sound:
    """A sound that a reader can play: its data URI, and the words below it."""

    uri: str
    caption: str = ""


@dataclasses.dataclass(frozen=True)
class Sample:
    """One question with the answers of every row, and what was expected.

    `pictures` and `gold_picture` are data URIs; `captions` stand below the pictures, one each.
    `sounds` stand below them. `bars` stand between the question and the answers.
    """

    id: str
    title: str
    question: str
    gold: str
    answers: tuple[Answer, ...]
    pictures: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    gold_picture: str = ""
    bars: tuple[Bars, ...] = ()
    sounds: tuple[Sound, ...] = ()


@dataclasses.dataclass(frozen=True)
class Card:
    """Samples about one subject side by side; `pictures` are data URIs of images."""

    id: str
    title: str
    subtitle: str
    samples: tuple[Sample, ...]
    pictures: tuple[str, ...] = ()
    picture_text: str = ""


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Cards one below the other."""

    cards: tuple[Card, ...]
    kind: str = dataclasses.field(default="gallery", init=False)


@dataclasses.dataclass(frozen=True)
class Listing:
    """A list of (name, text)."""

    items: tuple[tuple[str, str], ...]
    kind: str = dataclasses.field(default="listing", init=False)


@dataclasses.dataclass(frozen=True)
class Preformatted:
    """Text whose lines are kept, such as commands."""

    text: str
    kind: str = dataclasses.field(default="preformatted", init=False)


@dataclasses.dataclass(frozen=True)
class Details:
    """Blocks that are folded away until a reader opens them."""

    summary: str
    blocks: tuple[Block, ...]
    id: str = ""
    kind: str = dataclasses.field(default="details", init=False)


Block = (
    Paragraph | Heading | Scores | Grid | Heat | Shares | Drawing | Gallery | Listing
    | Preformatted | Details
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the report with a heading; `id` is its address on the page."""

    id: str
    title: str
    blocks: tuple[Block, ...]
    menu: str = ""  # a shorter title for the contents


def every(blocks: tuple[Block, ...], kind: type, *, folded: bool = True) -> list:
    """Return the blocks of a type in the order of the page, with those inside details if
    `folded`.
    """
    found = []
    for block in blocks:
        if isinstance(block, Details):
            found += every(block.blocks, kind) if folded else []
        elif isinstance(block, kind):
            found.append(block)
    return found
