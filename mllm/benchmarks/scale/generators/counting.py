"""Counting and localisation: marks of a kind, the picture with the most, events, by reference."""

import random

from mllm.benchmarks.scale.draw import MARK_COLOURS, SHAPES, Canvas
from mllm.benchmarks.scale.generators.common import (
    FRAME_SECONDS,
    PLURALS,
    Truth,
    background,
    draft,
    mark,
    mark_names,
    marks_scene,
    other_than,
    paint_marks,
    shift,
    spots,
)
from mllm.benchmarks.scale.item import Draft

BOX_SIZE = 30
_CENTRES = (17, 39, 61, 83)
PLACES = tuple((x, y) for y in _CENTRES for x in _CENTRES)


def single(rng: random.Random, side: int) -> Draft:
    """Count the marks of a colour and shape, or give the box of one."""
    return (_count if rng.random() < 0.5 else _locate)(rng, side)


def _count(rng: random.Random, side: int) -> Draft:
    shape, colour = rng.choice(SHAPES), rng.choice(MARK_COLOURS)
    numbers = tuple(str(number) for number in range(1, 7))
    answers = tuple(rng.sample(numbers, 2))
    truths = [_scene_with(rng, shape, colour, int(answer)) for answer in answers]
    wanted = f"{colour} {PLURALS[shape]}"
    return draft(
        paint_marks, side, {"what": "count", "shape": shape, "colour": colour},
        truths[:1], truths[1:], answers,
        questions=(
            f"How many {wanted} are there?",
            f"Count the {wanted}. How many do you see?",
            f"What is the number of {wanted} in the picture?",
        ),
        kind="number", candidates=numbers, tag="F2", objects=tuple(mark_names(truths[0])),
    )  # fmt: skip


def _scene_with(rng: random.Random, shape: str, colour: str, count: int) -> Truth:
    """Return a scene with `count` marks of this shape and colour, and up to three that share one
    of the two.
    """
    places = spots(rng, count + rng.randint(0, 3))
    marks = [mark(shape, colour, place) for place in places[:count]]
    for place in places[count:]:
        if rng.random() < 0.5:
            marks.append(mark(shape, other_than(rng, MARK_COLOURS, colour), place))
        else:
            marks.append(mark(other_than(rng, SHAPES, shape), colour, place))
    return marks_scene(rng, marks)


def box_of(place: tuple[float, float]) -> str:
    """Return the box of a mark at one of `PLACES`."""
    x, y = place
    half = BOX_SIZE // 2
    return f"[{x - half}, {y - half}, {x + half}, {y + half}]"


def _locate(rng: random.Random, side: int) -> Draft:
    shape, colour = rng.choice(SHAPES), rng.choice(MARK_COLOURS)
    places = rng.sample(PLACES, 2)
    truths = []
    for place in places:
        far = [p for p in PLACES if max(abs(p[0] - place[0]), abs(p[1] - place[1])) > 40]
        decoy = mark(other_than(rng, SHAPES, shape), rng.choice(MARK_COLOURS), rng.choice(far), 24)
        truths.append(marks_scene(rng, [mark(shape, colour, place, BOX_SIZE), decoy]))
    return draft(
        paint_marks, side, {"what": "box", "shape": shape, "colour": colour},
        truths[:1], truths[1:], tuple(box_of(place) for place in places),
        questions=(
            f"Where is the {colour} {shape}? Give its box.",
            f"Give the box around the {colour} {shape}.",
            f"What is the box of the {colour} {shape}?",
        ),
        kind="box", candidates=tuple(box_of(place) for place in PLACES), tag="F3",
        objects=tuple(mark_names(truths[0])),
    )  # fmt: skip


def multi(rng: random.Random, side: int) -> Draft:
    """Find the picture with the most, or the fewest, marks of a shape."""
    shape, most = rng.choice(SHAPES), rng.random() < 0.5
    positions = rng.sample(range(3), 2)
    truths, twin = (_compared(rng, shape, position, most) for position in positions)
    word, phrase = ("most", "the most") if most else ("fewest", "the fewest")
    return draft(
        paint_marks, side, {"what": word, "shape": shape}, truths, twin,
        tuple(str(position + 1) for position in positions),
        questions=(
            f"Which picture has {phrase} {PLURALS[shape]}?",
            f"In which picture are {phrase} {PLURALS[shape]}?",
            f"What is the number of the picture with {phrase} {PLURALS[shape]}?",
        ),
        kind="number", candidates=("1", "2", "3"), tag="F2", objects=(shape,),
    )  # fmt: skip


def _compared(rng: random.Random, shape: str, position: int, most: bool) -> list[Truth]:
    """Return three scenes with different counts, the extreme one at `position`."""
    counts = sorted(rng.sample(range(1, 7), 3), reverse=most)
    others = counts[1:]
    rng.shuffle(others)
    others.insert(position, counts[0])
    return [_some_of(rng, shape, count) for count in others]


def _some_of(rng: random.Random, shape: str, count: int) -> Truth:
    """Return a scene with `count` marks of a shape, and up to three others."""
    places = spots(rng, count + rng.randint(0, 3))
    marks = [mark(shape, rng.choice(MARK_COLOURS), place) for place in places[:count]]
    other = other_than(rng, SHAPES, shape)
    marks += [mark(other, rng.choice(MARK_COLOURS), place) for place in places[count:]]
    return marks_scene(rng, marks)


def frames(rng: random.Random, side: int) -> Draft:
    """Count the frames in which a lamp is on."""
    numbers = tuple(str(number) for number in range(5))
    answers = tuple(rng.sample(numbers, 2))
    truths, twin = (_lamp(rng, int(answer)) for answer in answers)
    return draft(
        _paint_lamp, side, {"what": "on"}, truths, twin, answers,
        questions=(
            "How often is the lamp on?",
            "In how many frames is the lamp on?",
            "Count the frames in which the lamp shines. How many are there?",
        ),
        kind="number", candidates=numbers, tag="F2", objects=("lamp",), times=FRAME_SECONDS,
    )  # fmt: skip


def _lamp(rng: random.Random, count: int) -> list[Truth]:
    lit = set(rng.sample(range(4), count))
    x, back = 50 + shift(rng, 12), background(rng)
    return [{"background": back, "x": x, "on": number in lit} for number in range(4)]


def _paint_lamp(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    x = truth["x"]
    if truth["on"]:
        for dx, dy in ((-30, 8), (-26, -18), (0, -31), (26, -18), (30, 8)):
            start = (x + dx * 0.86, 42 + dy * 0.86)
            canvas.line([start, (x + dx * 1.2, 42 + dy * 1.2)], "orange", 4.5)
    canvas.ellipse(x, 42, 42, 42, "yellow" if truth["on"] else "grey")
    canvas.rectangle(x - 11, 60, x + 11, 82, "black")
    return canvas.png()


def interleaved(rng: random.Random, side: int) -> Draft:
    """Count the marks that look like the one of a reference picture."""
    numbers = tuple(str(number) for number in range(1, 5))
    answers = tuple(rng.sample(numbers, 2))
    shapes = rng.sample(SHAPES, 2)
    colours = [rng.choice(MARK_COLOURS) for _ in shapes]
    places = spots(rng, int(answers[0]) + int(answers[1]))
    kinds = [0] * int(answers[0]) + [1] * int(answers[1])
    marks = [mark(shapes[k], colours[k], place) for k, place in zip(kinds, places, strict=True)]
    scene = marks_scene(rng, marks)
    shown, other = (_reference(rng, shapes[k], colours[k]) for k in range(2))
    return draft(
        paint_marks, side, {"what": "like the reference"}, [shown, scene], [other, scene], answers,
        layout=("Look for this:", 0, "Look here:", 1),
        questions=(
            "How many of it are in the second picture?",
            "How often is it in the second picture?",
            "Count it in the second picture. How many do you see?",
        ),
        kind="number", candidates=numbers, tag="F2", objects=tuple(shapes),
    )  # fmt: skip


def _reference(rng: random.Random, shape: str, colour: str) -> Truth:
    place = (50 + shift(rng, 8), 50 + shift(rng, 8))
    return marks_scene(rng, [mark(shape, colour, place, 44)])


GENERATORS = {
    ("general", "single", "counting"): single,
    ("general", "multi", "counting"): multi,
    ("general", "frames", "counting"): frames,
    ("general", "interleaved", "counting"): interleaved,
}
