"""Driving: signs, damage to cars, what the driver should do, whether a report fits."""

import random

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import Truth
from mllm.benchmarks.scale.generators.pairs import (
    YES_NO,
    images,
    options_of,
    phrase,
    twins,
    yes_or_no,
)
from mllm.benchmarks.scale.item import Draft

SIGNS = ("stop", "give way", "no entry", "turn left", "turn right", "parking", "priority")
LIMITS = ("20", "30", "50", "70", "90")
BODIES = ("blue", "green", "#d9b310", "#9aa7b5", "purple")
SPOTS = {"front": (84, 58), "door": (50, 58), "rear": (16, 58), "roof": (48, 25)}
"""Where a car is damaged that faces right, and where the damage is drawn."""

DECISIONS = {
    "stop": ("red light", "person", "stop sign"),
    "drive on": ("green light", "free road"),
    "turn left": ("left sign",),
    "turn right": ("right sign",),
}
"""What the driver should do, and the scenes that call for it."""

DISTANCES = {"brake": (20, 30, 42, 58), "speed up": (58, 42, 30, 20), "keep speed": (36,) * 4}
"""What the driver should do, and how wide the car ahead is in four frames."""


def sign(rng: random.Random, side: int) -> Draft:
    """Ask for the name of a sign, or for the speed that it allows."""
    return rng.choice((name_of_sign, speed_limit))(rng, side)


def name_of_sign(rng: random.Random, side: int) -> Draft:
    """Ask for the name of a sign."""
    options, gold, twin = options_of(rng, SIGNS)
    signs = [{"sign": name} for name in (gold, twin)]
    return twins(
        rng, side, _paint_sign, signs[:1], signs[1:], ask={"what": "sign"},
        answers=(gold, twin), options=options, tag="F11", objects=("sign",),
        questions=(
            "What does this sign mean?",
            "Which traffic sign is this?",
            "What does the sign tell the driver?",
        ),
    )  # fmt: skip


def speed_limit(rng: random.Random, side: int) -> Draft:
    """Ask for the number on a sign."""
    gold, twin = rng.sample(LIMITS, 2)
    signs = [{"sign": limit} for limit in (gold, twin)]
    return twins(
        rng, side, _paint_sign, signs[:1], signs[1:], ask={"what": "limit"}, kind="number",
        answers=(gold, twin), candidates=LIMITS, tag="F4", objects=("sign",),
        questions=(
            "How fast may you drive here at most?",
            "What is the speed limit?",
            "Which number is on the sign?",
        ),
    )  # fmt: skip


def find_sign(rng: random.Random, side: int) -> Draft:
    """Ask which of three images shows a sign."""
    asked, *others = rng.sample(SIGNS, 3)
    options = images(1, 3)
    gold, twin = rng.sample(range(3), 2)

    def truths(place: int) -> list[Truth]:
        order = [*others[:place], asked, *others[place:]]
        return [{"sign": name} for name in order]

    return twins(
        rng, side, _paint_sign, truths(gold), truths(twin), ask={"sign": asked},
        answers=(options[gold], options[twin]), options=options, tag="F11", objects=("sign",),
        questions=phrase(
            (
                'Which image shows the sign "{name}"?',
                'Which sign means "{name}"?',
                'Find the sign for "{name}".',
            ),
            name=asked,
        ),
    )  # fmt: skip


def _paint_sign(canvas: Canvas, truth: Truth) -> None:
    canvas.rectangle(46, 70, 54, 105, "grey")
    draw_sign(canvas, truth["sign"], 50, 46, 84)


def draw_sign(canvas: Canvas, name: str, x: float, y: float, size: float) -> None:
    """Draw a traffic sign around (x, y); a number is a speed limit."""
    half = size / 2

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x + px * half, y + py * half) for px, py in points]

    if name == "stop":
        c = 0.42
        canvas.polygon(
            at((-c, -1), (c, -1), (1, -c), (1, c), (c, 1), (-c, 1), (-1, c), (-1, -c)), "red"
        )
        canvas.text("STOP", x, y, size * 0.25, "white")
    elif name == "give way":
        canvas.polygon(at((-1, -0.8), (1, -0.8), (0, 0.95)), "red")
        canvas.polygon(at((-0.6, -0.55), (0.6, -0.55), (0, 0.5)), "white", None)
    elif name == "no entry":
        canvas.ellipse(x, y, size, size, "red")
        canvas.polygon(at((-0.7, -0.2), (0.7, -0.2), (0.7, 0.2), (-0.7, 0.2)), "white", None)
    elif name in ("turn left", "turn right"):
        canvas.ellipse(x, y, size, size, "blue")
        turn = 90 if name == "turn right" else -90
        canvas.shape("arrow", x, y, size * 0.66, "white", turn, outline=None)
    elif name == "parking":
        canvas.rectangle(x - half * 0.9, y - half * 0.9, x + half * 0.9, y + half * 0.9, "blue")
        canvas.text("P", x, y, size * 0.58, "white")
    elif name == "priority":
        canvas.polygon(at((0, -1), (1, 0), (0, 1), (-1, 0)), "white")
        canvas.polygon(at((0, -0.7), (0.7, 0), (0, 0.7), (-0.7, 0)), "yellow")
    else:
        canvas.ellipse(x, y, size, size, "red")
        canvas.ellipse(x, y, size * 0.74, size * 0.74, "white", None)
        canvas.text(name, x, y, size * 0.32, "black")


def damage(rng: random.Random, side: int) -> Draft:
    """Ask where a car is damaged."""
    options, gold, twin = options_of(rng, tuple(SPOTS))
    look = _car_look(rng)
    cars = [look | {"damage": [where]} for where in (gold, twin)]
    return twins(
        rng, side, _paint_car, cars[:1], cars[1:], ask={"what": "damage"},
        answers=(gold, twin), options=options, tag="F3", objects=("car", "damage"),
        questions=(
            "Where is the car damaged?",
            "Which part of the car is damaged?",
            "Where do you see the damage?",
        ),
    )  # fmt: skip


def new_damage(rng: random.Random, side: int) -> Draft:
    """Show a car with an old damage before and after: ask for the new one."""
    options, gold, twin = options_of(rng, tuple(SPOTS))
    look = _car_look(rng)
    return twins(
        rng, side, _paint_car, _before_and_after(rng, look, gold),
        _before_and_after(rng, look, twin), ask={"before": 0, "after": 1},
        answers=(gold, twin), options=options, tag="F5", objects=("car", "damage"),
        questions=(
            "Image 2 was taken later. Where is the new damage?",
            "Which part was damaged between image 1 and image 2?",
            "Where is image 2 damaged but not image 1?",
        ),
    )  # fmt: skip


def report_fits(rng: random.Random, side: int) -> Draft:
    """Give an insurance report and images before and after: ask whether they agree."""
    claimed = rng.choice(tuple(SPOTS))
    look = _car_look(rng)
    gold, twin = yes_or_no(rng)

    def truths(answer: str) -> list[Truth]:
        others = [where for where in SPOTS if where != claimed]
        new = claimed if answer == "yes" else rng.choice(others)
        return _before_and_after(rng, look, new)

    return twins(
        rng, side, _paint_car, truths(gold), truths(twin),
        layout=(f"Report: the {claimed} of the car was hit. Before:", 0, "After:", 1),
        ask={"claimed": claimed}, answers=(gold, twin), tag="F10", objects=("car", "damage"),
        questions=(
            "Does the report fit the new damage?",
            "Is the report right?",
            "Do the images support the report?",
        ),
        **YES_NO,
    )  # fmt: skip


def _before_and_after(rng: random.Random, look: Truth, new: str) -> list[Truth]:
    """Return a car with an old damage, and with that and a new one."""
    old = rng.choice([where for where in SPOTS if where != new])
    return [look | {"damage": [old]}, look | {"damage": [old, new]}]


def _car_look(rng: random.Random) -> Truth:
    return {
        "body": rng.choice(BODIES),
        "faces": rng.choice(("left", "right")),
    }


def _paint_car(canvas: Canvas, truth: Truth) -> None:
    """Draw a car from its side, its lamp in front, with a dark burst where it is damaged."""
    body = truth["body"]

    def across(x: float) -> float:
        return x if truth["faces"] == "right" else 100 - x

    def polygon(points: list[tuple[float, float]], colour: str) -> None:
        canvas.polygon([(across(x), y) for x, y in points], colour)

    canvas.rectangle(-5, 80, 105, 105, "#555b63", None)
    polygon([(18, 46), (28, 24), (66, 24), (80, 46)], body)
    polygon([(27, 44), (33, 31), (45, 31), (45, 44)], "sky")
    polygon([(50, 44), (50, 31), (63, 31), (71, 44)], "sky")
    polygon([(4, 46), (92, 46), (97, 56), (97, 74), (4, 74)], body)
    canvas.line([(across(50), 46), (across(50), 74)], width=1.6)
    canvas.ellipse(across(94), 55, 7, 9, "yellow")
    canvas.rectangle(min(across(4), across(8)), 50, max(across(4), across(8)), 60, "red")
    for x in (26, 74):
        canvas.ellipse(x, 77, 22, 22, "black")
        canvas.ellipse(x, 77, 9, 9, "grey")
    for where in truth["damage"]:
        x, y = SPOTS[where]
        canvas.shape("star", across(x), y, 28, "black", 18, outline="white", width=1.6)


def decision(rng: random.Random, side: int) -> Draft:
    """Ask what the driver should do in a scene."""
    options, gold, twin = options_of(rng, tuple(DECISIONS), 4)
    scenes = [{"scene": rng.choice(DECISIONS[action])} for action in (gold, twin)]
    return twins(
        rng, side, _paint_road, scenes[:1], scenes[1:], ask={"what": "decision"},
        answers=(gold, twin), options=options, tag="F11", objects=("road", scenes[0]["scene"]),
        questions=(
            "What should the driver do now?",
            "You drive here. What do you do?",
            "Which action is right in this scene?",
        ),
    )  # fmt: skip


def follow(rng: random.Random, side: int) -> Draft:
    """Show the car ahead over time: ask what the driver should do to keep the distance."""
    options, gold, twin = options_of(rng, tuple(DISTANCES), 3)
    colour = rng.choice(BODIES)

    def truths(action: str) -> list[Truth]:
        return [{"scene": "car", "width": width, "body": colour} for width in DISTANCES[action]]

    return twins(
        rng, side, _paint_road, truths(gold), truths(twin), ask={"keep": "distance"},
        answers=(gold, twin), options=options, tag="F6", objects=("road", "car"),
        times=(0.0, 1.0, 2.0, 3.0),
        questions=(
            "What must you do to keep your distance to the car ahead?",
            "To keep the same gap to the car, what should you do?",
            "How should you react to the car in front?",
        ),
    )  # fmt: skip


def _paint_road(canvas: Canvas, truth: Truth) -> None:
    """Draw the road as the driver sees it, with what stands on or next to it."""
    scene = truth["scene"]
    canvas.rectangle(-5, 40, 105, 105, "#7cc36b", None)
    canvas.polygon([(44, 40), (56, 40), (100, 105), (0, 105)], "#555b63")
    for top, bottom in ((48, 54), (62, 72), (82, 96)):
        canvas.line([(50, top), (50, bottom)], "white", 4)
    if scene in ("red light", "green light"):
        canvas.rectangle(70, 48, 76, 90, "grey")
        canvas.rectangle(59, 4, 87, 54, "black", radius=6)
        for y, lamp in ((16, "red"), (29, "yellow"), (42, "green")):
            canvas.ellipse(73, y, 12, 12, lamp if scene.startswith(lamp) else "#444444", None)
    elif scene.endswith("sign"):
        canvas.rectangle(71, 40, 77, 90, "grey")
        name = {"left sign": "turn left", "right sign": "turn right", "stop sign": "stop"}[scene]
        draw_sign(canvas, name, 74, 28, 48)
    elif scene == "person":
        canvas.ellipse(50, 44, 13, 13, "#f6cfb0")
        canvas.rectangle(43, 51, 57, 70, "red")
        canvas.line([(46, 70), (42, 86)], "blue", 5)
        canvas.line([(54, 70), (58, 86)], "blue", 5)
    elif scene == "car":
        half = truth["width"] / 2
        base = 44 + truth["width"] * 0.8
        canvas.rectangle(50 - half * 0.7, base - half * 1.6, 50 + half * 0.7, base - half, "sky")
        canvas.rectangle(50 - half, base - half, 50 + half, base, truth["body"])
        for way in (-1, 1):
            canvas.ellipse(50 + way * half * 0.7, base - half * 0.6, half / 3, half / 3, "red")
            tyre = 50 + way * half * 0.65
            canvas.rectangle(tyre - half / 5, base, tyre + half / 5, base + half / 3, "black")


GENERATORS = {
    ("driving", "single", "signs"): sign,
    ("driving", "multi", "signs"): find_sign,
    ("driving", "single", "damage"): damage,
    ("driving", "multi", "damage"): new_damage,
    ("driving", "interleaved", "damage"): report_fits,
    ("driving", "single", "decision"): decision,
    ("driving", "frames", "decision"): follow,
}
