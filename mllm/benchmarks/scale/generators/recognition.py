"""Recognition: what is shown, coarse and fine; the odd one out; an action; naming by example."""

import random

from mllm.benchmarks.scale.draw import MARK_COLOURS, SHAPES, Canvas
from mllm.benchmarks.scale.generators.common import (
    FRAME_SECONDS,
    Truth,
    background,
    draft,
    mark,
    other_than,
    shift,
)
from mllm.benchmarks.scale.item import Draft
from mllm.benchmarks.scale.things import THINGS, draw_thing

ACTIONS = ("spins", "grows", "shrinks", "jumps", "slides", "blinks")
# The symmetric shapes look the same when they spin by quarter turns.
ACTORS = ("triangle", "heart", "moon", "arrow")
INVENTED = (
    "dax", "wug", "fep", "blick", "zorp", "mip", "lorn", "tove", "grack", "pell", "vun", "sib",
)  # fmt: skip


def single(rng: random.Random, side: int) -> Draft:
    """Name the thing that is shown, or the shape of the small mark next to it."""
    if rng.random() < 0.5:
        options = tuple(rng.sample(list(THINGS), 4))
        answers = tuple(rng.sample(options, 2))
        truths = [_thing(rng, name) for name in answers]
        questions = (
            "What is shown?",
            "What does the picture show?",
            "Which of these is in the picture?",
        )
        ask = {"what": "thing"}
    else:
        options = tuple(rng.sample(SHAPES, 4))
        answers = tuple(rng.sample(options, 2))
        name = rng.choice(list(THINGS))
        truths = [_thing(rng, name, badge) for badge in answers]
        questions = (
            f"Which shape is next to the {name}?",
            f"What is the shape of the mark near the {name}?",
            f"There is a small mark next to the {name}. What is its shape?",
        )
        ask = {"what": "badge"}
    return draft(
        _paint_thing, side, ask, truths[:1], truths[1:], answers,
        questions=questions, kind="choice", options=options, tag="F1",
        objects=_names(truths[0]),
    )  # fmt: skip


def multi(rng: random.Random, side: int) -> Draft:
    """Find the picture of another thing among four."""
    common, odd = rng.sample(list(THINGS), 2)
    positions = rng.sample(range(4), 2)
    truths, twin = (
        [_thing(rng, odd if number == position else common) for number in range(4)]
        for position in positions
    )
    return draft(
        _paint_thing, side, {"what": "odd"}, truths, twin, tuple(str(p + 1) for p in positions),
        questions=(
            "Which picture is the odd one out?",
            "Three pictures show the same thing. Which picture does not?",
            "What is the number of the picture that shows something else?",
        ),
        kind="number", candidates=("1", "2", "3", "4"), tag="F7", objects=(common, odd),
    )  # fmt: skip


def frames(rng: random.Random, side: int) -> Draft:
    """Name what a shape does in four frames."""
    options = tuple(rng.sample(ACTIONS, 4))
    answers = tuple(rng.sample(options, 2))
    actor = rng.choice(ACTORS)
    truths, twin = (_action(rng, actor, action) for action in answers)
    return draft(
        _paint_actor, side, {"what": "action"}, truths, twin, answers,
        questions=(
            f"What does the {actor} do?",
            f"What happens to the {actor}?",
            f"Which word says what the {actor} does?",
        ),
        kind="choice", options=options, tag="F6", objects=(actor,), times=FRAME_SECONDS,
    )  # fmt: skip


def interleaved(rng: random.Random, side: int) -> Draft:
    """Name a thing by a word that the examples introduce."""
    names = tuple(rng.sample(INVENTED, 3))
    things = rng.sample(list(THINGS), 3)
    answers = tuple(rng.sample(names, 2))
    examples = [_thing(rng, thing) for thing in things]
    shown, other = ([*examples, _thing(rng, things[names.index(name)])] for name in answers)
    layout: list[str | int] = []
    for number, name in enumerate(names):
        layout += [f"This is a {name}:", number]
    return draft(
        _paint_thing, side, {"what": "name", "names": list(names)}, shown, other, answers,
        layout=(*layout, "Now look at this:", 3),
        questions=(
            "What is the last one called?",
            "Which name does the last picture get?",
            "What is the name of the last thing?",
        ),
        kind="text", candidates=names, tag="F7", objects=tuple(things),
    )  # fmt: skip


def _thing(rng: random.Random, name: str, badge: str = "") -> Truth:
    """Return the truth of a picture of one thing, with a small mark where `badge` names one."""
    colour = rng.choice(MARK_COLOURS)
    truth = {"background": background(rng), "thing": name, "colour": colour}
    if not badge:
        size = rng.randint(50, 78)
        place = {"x": 50 + shift(rng, 45 - size / 2), "y": 50 + shift(rng, 45 - size / 2)}
        return truth | place | {"size": size}
    x, left = (37, True) if rng.random() < 0.5 else (63, False)
    corner = (82 if left else 18, rng.choice((20, 80)))
    small = mark(badge, other_than(rng, MARK_COLOURS, colour), corner, 24)
    return truth | {"x": x, "y": 50 + shift(rng, 12), "size": rng.randint(48, 56), "badge": small}


def _paint_thing(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    where = (truth["x"], truth["y"], truth["size"])
    draw_thing(canvas, truth["thing"], *where, truth["colour"])
    if badge := truth.get("badge"):
        canvas.shape(badge["shape"], badge["x"], badge["y"], badge["size"], badge["colour"])
    return canvas.png()


def _names(truth: Truth) -> tuple[str, ...]:
    return (truth["thing"], *([truth["badge"]["shape"]] if "badge" in truth else []))


def _action(rng: random.Random, actor: str, action: str) -> list[Truth]:
    """Return the truths of four frames in which a shape does something, and nothing else."""
    colour, back = rng.choice(MARK_COLOURS), background(rng)
    x, y, size, turn = 50 + shift(rng, 8), 50 + shift(rng, 8), 34, rng.choice((0, 90, 180, 270))
    still = {"shape": actor, "colour": colour, "x": x, "y": y, "size": size, "turn": turn}
    changes: list[Truth] = {
        "spins": [{"turn": turn + 90 * k} for k in range(4)],
        "grows": [{"size": s} for s in (18, 32, 46, 60)],
        "shrinks": [{"size": s} for s in (60, 46, 32, 18)],
        "jumps": [{"y": h} for h in (76, 28, 28, 76)],
        "slides": [{"x": w} for w in (20, 40, 60, 80)],
        "blinks": [{"colour": colour if k % 2 else "white"} for k in range(4)],
    }[action]
    if action == "slides" and rng.random() < 0.5:
        changes.reverse()
    return [still | change | {"background": back} for change in changes]


def _paint_actor(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    where = (truth["x"], truth["y"], truth["size"])
    canvas.shape(truth["shape"], *where, truth["colour"], truth["turn"])
    return canvas.png()


GENERATORS = {
    ("general", "single", "recognition"): single,
    ("general", "multi", "recognition"): multi,
    ("general", "frames", "recognition"): frames,
    ("general", "interleaved", "recognition"): interleaved,
}
