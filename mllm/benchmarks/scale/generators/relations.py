"""Attributes and spatial relations, spot-the-difference, directions, relations by example."""

import random

from mllm.benchmarks.scale.draw import MARK_COLOURS, SHAPES, Canvas
from mllm.benchmarks.scale.generators.common import (
    FRAME_SECONDS,
    Truth,
    background,
    draft,
    mark,
    mark_names,
    marks_scene,
    other_than,
    paint_marks,
    random_marks,
    shift,
    spots,
)
from mllm.benchmarks.scale.item import Draft
from mllm.benchmarks.scale.things import THINGS, draw_thing

SIDES = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}
DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
CORNERS = {
    "top left": (20, 20), "top right": (80, 20),
    "bottom left": (20, 80), "bottom right": (80, 80),
}  # fmt: skip
CHANGES = ("colour", "shape", "size", "place")
LABELS = ("A", "B", "C")


def single(rng: random.Random, side: int) -> Draft:
    """Name the colour of a mark, or on which side of another mark it lies."""
    return (_colour if rng.random() < 0.5 else _place)(rng, side)


def _colour(rng: random.Random, side: int) -> Draft:
    shapes = rng.sample(SHAPES, 3)
    options = tuple(rng.sample(MARK_COLOURS, 4))
    answers = tuple(rng.sample(options, 2))
    truths = []
    for answer in answers:
        others = rng.sample([colour for colour in MARK_COLOURS if colour != answer], 2)
        placed = zip(shapes, (answer, *others), spots(rng, 3), strict=True)
        truths.append(marks_scene(rng, [mark(*parts, size=26) for parts in placed]))
    return draft(
        paint_marks, side, {"what": "colour", "shape": shapes[0]}, truths[:1], truths[1:], answers,
        questions=(
            f"What colour is the {shapes[0]}?",
            f"Which colour does the {shapes[0]} have?",
            f"The {shapes[0]} has a colour. Which one is it?",
        ),
        kind="choice", options=options, tag="F1", objects=tuple(shapes),
    )  # fmt: skip


def _place(rng: random.Random, side: int) -> Draft:
    first, second = rng.sample(SHAPES, 2)
    options = tuple(rng.sample(list(SIDES), 4))
    answers = tuple(rng.sample(options, 2))
    truths = [_two_marks(rng, first, second, answer) for answer in answers]
    return draft(
        paint_marks, side, {"what": "side", "shape": first, "of": second},
        truths[:1], truths[1:], answers,
        questions=(
            f"Where is the {first}, seen from the {second}?",
            f"On which side of the {second} is the {first}?",
            f"Look at the {second}. Where is the {first} from there?",
        ),
        kind="choice", options=options, tag="F3", objects=(first, second),
    )  # fmt: skip


def _two_marks(rng: random.Random, first: str, second: str, relation: str) -> Truth:
    """Return a scene in which the first mark lies on this side of the second."""
    dx, dy = SIDES[relation]
    x, y = 50 + shift(rng, 10), 50 + shift(rng, 10)
    places = [
        (x + 24 * s * dx + shift(rng, 5) * abs(dy), y + 24 * s * dy + shift(rng, 5) * abs(dx))
        for s in (1, -1)
    ]
    colours = [rng.choice(MARK_COLOURS) for _ in places]
    marks = [mark(*parts, size=28) for parts in zip((first, second), colours, places, strict=True)]
    return marks_scene(rng, marks)


def multi(rng: random.Random, side: int) -> Draft:
    """Spot the difference between two pictures: where, what, or whether there is one."""
    base = marks_scene(rng, _corner_marks(rng))
    ask = rng.choice(("corner", "change", "same"))
    options: tuple[str, ...] = ()
    if ask == "corner":
        candidates = options = tuple(rng.sample(list(CORNERS), 4))
        answers = tuple(rng.sample(options, 2))
        places = [list(CORNERS).index(answer) for answer in answers]
        changed = [_changed(rng, base, place, rng.choice(CHANGES[:3])) for place in places]
        questions = (
            "In which corner do the pictures differ?",
            "Where is the difference between the two pictures?",
            "One corner is not the same in both pictures. Which one?",
        )
    elif ask == "change":
        candidates = options = tuple(rng.sample(CHANGES, 4))
        answers = tuple(rng.sample(options, 2))
        changed = [_changed(rng, base, rng.randrange(4), answer) for answer in answers]
        questions = (
            "One mark has changed. What is different?",
            "What changes from the first picture to the second?",
            "What is not the same about one mark in the second picture?",
        )
    else:
        candidates = ("yes", "no")
        answers = tuple(rng.sample(candidates, 2))
        altered = _changed(rng, base, rng.randrange(4), rng.choice(CHANGES))
        changed = [base if answer == "yes" else altered for answer in answers]
        questions = (
            "Are the two pictures the same?",
            "Do both pictures show exactly the same?",
            "Is the second picture equal to the first?",
        )
    return draft(
        paint_marks, side, {"what": ask}, [base, changed[0]], [base, changed[1]], answers,
        questions=questions, kind="choice" if options else "yes_no", options=options,
        candidates=candidates, tag="F5", objects=tuple(mark_names(base)),
    )  # fmt: skip


def _corner_marks(rng: random.Random) -> list[Truth]:
    return [
        mark(shape, rng.choice(MARK_COLOURS), (x + shift(rng, 3), y + shift(rng, 3)), 30)
        for shape, (x, y) in zip(rng.sample(SHAPES, 4), CORNERS.values(), strict=True)
    ]


def _changed(rng: random.Random, base: Truth, number: int, change: str) -> Truth:
    """Return a scene with one property of one mark changed."""
    old = base["marks"][number]
    new: Truth = {
        "colour": lambda: {"colour": other_than(rng, MARK_COLOURS, old["colour"])},
        "shape": lambda: {"shape": other_than(rng, SHAPES, *mark_names(base))},
        "size": lambda: {"size": 17},
        "place": lambda: {"x": 50, "y": 50},
    }[change]()
    marks = [old | new if k == number else item for k, item in enumerate(base["marks"])]
    return base | {"marks": marks}


def frames(rng: random.Random, side: int) -> Draft:
    """Say which way a thing moves."""
    options = tuple(rng.sample(list(DIRECTIONS), 4))
    answers = tuple(rng.sample(options, 2))
    name = rng.choice(list(THINGS))
    truths, twin = (_motion(rng, name, answer) for answer in answers)
    return draft(
        _paint_motion, side, {"what": "direction"}, truths, twin, answers,
        questions=(
            f"Which way does the {name} move?",
            f"In which direction does the {name} go?",
            f"The {name} moves. Where does it go?",
        ),
        kind="choice", options=options, tag="F6", objects=(name,), times=FRAME_SECONDS,
    )  # fmt: skip


def _motion(rng: random.Random, name: str, direction: str) -> list[Truth]:
    """Return four frames in which a thing moves past a mark that stays where it is."""
    dx, dy = DIRECTIONS[direction]
    lane, far = rng.choice(((32, 82), (68, 18)))
    still = rng.choice((20, 50, 80))
    common = {"background": background(rng), "thing": name, "colour": rng.choice(MARK_COLOURS)}
    place = (still, far) if dx else (far, still)
    common["still"] = random_marks(rng, [place], 20)[0]
    along = [50 + step * (dx or dy) for step in (-26, -9, 9, 26)]
    return [common | {"x": a if dx else lane, "y": lane if dx else a} for a in along]


def _paint_motion(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    still = truth["still"]
    canvas.shape(still["shape"], still["x"], still["y"], still["size"], still["colour"])
    draw_thing(canvas, truth["thing"], truth["x"], truth["y"], 44, truth["colour"])
    return canvas.png()


def interleaved(rng: random.Random, side: int) -> Draft:
    """Find the picture whose marks stand as those of an example do."""
    relations = rng.sample(list(SIDES), 3)
    answers = tuple(rng.sample(LABELS, 2))
    shown = [_big_and_small(rng, relation) for relation in relations]
    examples = [_big_and_small(rng, relations[LABELS.index(answer)]) for answer in answers]
    return draft(
        paint_marks, side, {"what": "relation"},
        [examples[0], *shown], [examples[1], *shown], answers,
        layout=("Example:", 0, "A:", 1, "B:", 2, "C:", 3),
        questions=(
            "Where is the small mark on the same side as in the example?",
            "Which picture places its small mark as the example does?",
            "In which of A, B and C do the marks stand as in the example?",
        ),
        kind="text", candidates=LABELS, tag="F3", objects=tuple(mark_names(examples[0])),
    )  # fmt: skip


def _big_and_small(rng: random.Random, relation: str) -> Truth:
    """Return a scene of a big mark and a small one on this side of it."""
    dx, dy = SIDES[relation]
    shapes = rng.sample(SHAPES, 2)
    colours = rng.sample(MARK_COLOURS, 2)
    drift = shift(rng, 8)
    x, y = (50 - 14 * dx + drift * abs(dy), 50 - 14 * dy + drift * abs(dx))
    small = (x + 42 * dx, y + 42 * dy)
    marks = [mark(shapes[0], colours[0], (x, y), 46), mark(shapes[1], colours[1], small, 20)]
    return marks_scene(rng, marks)


GENERATORS = {
    ("general", "single", "relations"): single,
    ("general", "multi", "relations"): multi,
    ("general", "frames", "relations"): frames,
    ("general", "interleaved", "relations"): interleaved,
}
