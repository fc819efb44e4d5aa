"""What several generators share: scenes of marks, places for them, drafts with a twin."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from mllm.benchmarks.scale.draw import BACKGROUNDS, MARK_COLOURS, SHAPES, Canvas
from mllm.benchmarks.scale.item import Draft

Truth = dict[str, Any]  # JSON values from which one picture is drawn
Painter = Callable[[int, Truth], bytes]  # (side in pixels, truth) -> PNG

PLURALS = {shape: f"{shape}s" for shape in SHAPES} | {"cross": "crosses"}
FRAME_SECONDS = (0.0, 0.5, 1.0, 1.5)
_GRID = (17, 50, 83)  # centres of the rows and columns of a 3 x 3 grid


def draft(
    paint: Painter,
    side: int,
    ask: dict[str, Any],
    truths: Sequence[Truth],
    twin: Sequence[Truth],
    answers: tuple[str, str],
    **fields: Any,
) -> Draft:
    """Return a draft whose pictures are drawn from truths, and with them its twin.

    Args:
      paint: draws a truth.
      side: of the pictures, in pixels.
      ask: what the question asks for, as JSON values.
      truths: one for each picture.
      twin: one for each twin picture.
      answers: the gold answer, and that of the twin.
      **fields: other fields of `Draft`. Without `layout` the pictures follow each other; without
        `candidates` they are the options.
    """
    fields.setdefault("layout", tuple(range(len(truths))))
    fields.setdefault("candidates", fields.get("options", ()))
    return Draft(
        pictures=tuple(paint(side, truth) for truth in truths),
        twin_pictures=tuple(paint(side, truth) for truth in twin),
        answers=(answers[0],),
        twin_answers=(answers[1],),
        scene={"ask": ask, "pictures": list(truths), "twin": list(twin)},
        **fields,
    )


def spots(rng: random.Random, count: int, jitter: float = 4) -> list[tuple[float, float]]:
    """Return places on a 3 x 3 grid, in random order and slightly moved.

    Marks of up to 24 percent do not touch there.
    """
    places = rng.sample([(x, y) for x in _GRID for y in _GRID], count)
    return [(x + shift(rng, jitter), y + shift(rng, jitter)) for x, y in places]


def shift(rng: random.Random, most: float) -> float:
    """Return a small displacement within -most .. most, rounded so that JSON keeps it."""
    return round(rng.uniform(-most, most), 1)


def background(rng: random.Random) -> str:
    """Return the name of a background."""
    return rng.choice(list(BACKGROUNDS))


def mark(shape: str, colour: str, place: tuple[float, float], size: float = 22) -> Truth:
    """Return the truth of one mark."""
    return {"shape": shape, "colour": colour, "x": place[0], "y": place[1], "size": size}


def marks_scene(rng: random.Random, marks: Sequence[Truth]) -> Truth:
    """Return the truth of a picture of marks."""
    return {"background": background(rng), "marks": list(marks)}


def paint_marks(side: int, truth: Truth) -> bytes:
    """Draw a picture of marks."""
    canvas = Canvas(side, truth["background"])
    for item in truth["marks"]:
        place = (item["x"], item["y"], item["size"])
        canvas.shape(item["shape"], *place, item["colour"], item.get("turn", 0))
    return canvas.png()


def other_than(rng: random.Random, values: Sequence[str], *taken: str) -> str:
    """Return one of `values` that is not taken."""
    return rng.choice([value for value in values if value not in taken])


def mark_names(truth: Truth) -> list[str]:
    """Return the names of the shapes of a picture of marks."""
    return [item["shape"] for item in truth["marks"]]


def random_marks(
    rng: random.Random, places: Sequence[tuple[float, float]], size: float = 22, *avoid: str
) -> list[Truth]:
    """Return marks of any shape but `avoid` and of any colour at these places."""
    return [
        mark(other_than(rng, SHAPES, *avoid), rng.choice(MARK_COLOURS), place, size)
        for place in places
    ]
