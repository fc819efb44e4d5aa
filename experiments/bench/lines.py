"""The lines of the benchmark, the most valuable first, and which of them a call measures.

A line is named after its work: ``<method>_pictures`` (rows of pairs that share a picture),
``<method>_single`` (a pair per row), ``decoding_<rows>`` with an optional ``_<form>`` of keys and
values, ``choices``, ``evaluation_<protocol>`` and ``attention``. A piece is one side of a line:
"peer" or "ours".
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mllm.registry import lookup

SIDES = ("peer", "ours")
SETUP = "setup"  # the piece that comes before all others of a side: weights

Piece = tuple[str, str]  # name of a line, side


@dataclass(frozen=True)
class Line:
    """A line and the seconds that each side is expected to take, compiling included."""

    name: str
    seconds: Mapping[str, float]

    @property
    def kind(self) -> str:
        """Return what is done: "training", "decoding", "choices", "evaluation" or "attention"."""
        return _parts(self.name)[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the rest of the name: (method, rows), (rows, form?), (protocol,) or nothing."""
        return _parts(self.name)[1]

    @property
    def work(self) -> str:
        """Return the line as a reader sees it."""
        return describe(self.name)[0]

    @property
    def unit(self) -> str:
        """Return what is counted per second."""
        return describe(self.name)[1]


def _parts(name: str) -> tuple[str, tuple[str, ...]]:
    kind, _, rest = name.partition("_")
    if kind == "decoding":
        return kind, tuple(rest.split("_"))
    if kind == "evaluation":
        return kind, (rest,)
    if name in ("choices", "attention"):
        return name, ()
    method, _, rows = name.rpartition("_")
    if not method or rows not in ("pictures", "single"):
        raise ValueError(f"config.bench.lines: {name!r} is the name of no line")
    return "training", (method, rows)


def describe(name: str) -> tuple[str, str]:
    """Return (what a line measures, its unit)."""
    kind, arguments = _parts(name)
    if kind == "training":
        method, rows = arguments
        shape = {"pictures": "pairs that share pictures", "single": "a pair per row"}[rows]
        return f"{method}, {shape}", "pairs/s"
    if kind == "decoding":
        form = f", keys and values in {arguments[1]}" if arguments[1:] else ""
        return f"greedy decoding, batch {arguments[0]}{form}", "tokens/s"
    if kind == "evaluation":
        return f"evaluation, {arguments[0]}", "questions/s"
    return {
        "choices": ("multiple choice", "questions/s"),
        "attention": ("attention of a layer and its gradient", "rows/s"),
    }[kind]


def lines_of(bench) -> dict[str, Line]:
    """Return the lines of ``config.bench.lines``, rows of (name, our seconds, the peer's seconds or
    None without a peer), the most valuable first.
    """
    found = {}
    for name, ours, peer in bench.lines:
        _parts(name)
        found[name] = Line(name, {"ours": ours} if peer is None else {"peer": peer, "ours": ours})
    return found


def select(lines: Mapping[str, Line], only: Iterable[str]) -> list[Piece]:
    """Return the pieces that ``only`` names, sides or lines; nothing names all of them.

    Raises:
      ValueError: a name is unknown; the message gives the nearest one.
    """
    only = list(only)
    for name in only:
        lookup(dict.fromkeys((*SIDES, *lines)), name, "line or side (--only)")
    sides = [side for side in SIDES if side in only] or SIDES
    names = [name for name in lines if name in only] or list(lines)
    return [(name, side) for name in names for side in sides if side in lines[name].seconds]


@dataclass
class Budget:
    """Decides which pieces are begun, so that the more valuable ones are measured first.

    A piece is begun if the time that is left is enough for it and for all pieces of more value that
    are still to come. What pieces were expected to take is corrected by what they did take.

    Attributes:
      seconds: the time in all; None is unlimited.
      expected: seconds of each piece, the most valuable first; ``SETUP`` is one of them.
    """

    seconds: float | None
    expected: dict[Piece, float]
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    taken: dict[Piece, float] = field(default_factory=dict)
    refused: list[Piece] = field(default_factory=list)

    def __post_init__(self):
        self.began = self.clock()

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return float("inf") if self.seconds is None else self.seconds + self.began - self.clock()

    def needed(self, piece: Piece) -> float:
        """Return the seconds for a piece and for those of more value that are still to come."""
        done = sum(self.expected[found] for found in self.taken)
        pace = sum(self.taken.values()) / done if done else 1.0
        order = list(self.expected)
        before = order[: order.index(piece)]
        pending = [p for p in before if p not in self.taken and p not in self.refused]
        return pace * sum(self.expected[p] for p in (*pending, piece))

    def allows(self, piece: Piece) -> bool:
        """Return whether a piece is to be begun; if not, it is given up."""
        if self.needed(piece) <= self.left:
            return True
        self.refused.append(piece)
        return False

    def took(self, piece: Piece, seconds: float) -> None:
        """Note what a piece took."""
        self.taken[piece] = seconds


def budget_of(
    seconds: float | None, bench, lines: Mapping[str, Line], pieces: Sequence[Piece]
) -> Budget:
    """Return the budget of these pieces, with the set-up of each side that has some."""
    sides = {side for _, side in pieces}
    setup = {(SETUP, side): float(bench.setup[side]) for side in SIDES if side in sides}
    return Budget(seconds, setup | {(n, s): float(lines[n].seconds[s]) for n, s in pieces})
