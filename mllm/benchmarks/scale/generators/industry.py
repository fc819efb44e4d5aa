"""Industry: faulty parts, gauges, protective equipment, and faults that only examples define."""

import math
import random

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import Truth
from mllm.benchmarks.scale.generators.pairs import images, options_of, phrase, twins
from mllm.benchmarks.scale.item import Draft

FAULTS = ("scratch", "missing bolt", "rust", "broken corner", "no fault")
METALS = ("#c3c9d0", "#aab8c6", "#d6c8a4")
BOLTS = ((27, 27), (73, 27), (27, 73), (73, 73))
GEAR = ("helmet", "vest", "gloves")
STEPS = (1, 2, 5)  # between two marks of a gauge
MARKS = 4  # of a gauge, without the zero
LOOKS = {"colour": ("#8fb8de", "#e7b87a"), "holes": (3, 4), "notch": ("left", "right")}
"""What may make a part faulty where examples say so: one of two looks."""


def fault(rng: random.Random, side: int) -> Draft:
    """Ask for the fault of a part."""
    options, gold, twin = options_of(rng, FAULTS)
    look = _part_look(rng)
    parts = [look | {"fault": name} for name in (gold, twin)]
    return twins(
        rng, side, _paint_part, parts[:1], parts[1:], ask={"what": "fault"},
        answers=(gold, twin), options=options, objects=("part", "bolts"),
        questions=(
            "Which fault does this part have?",
            "What is wrong with the part?",
            "Inspect the part: what do you find?",
        ),
    )  # fmt: skip


def faulty_part(rng: random.Random, side: int) -> Draft:
    """Ask which of three parts is faulty."""
    options, look = images(1, 3), _part_look(rng)
    gold, twin = rng.sample(range(3), 2)

    def truths(place: int) -> list[Truth]:
        kind = rng.choice(FAULTS[:-1])
        return [
            look | {"fault": kind if k == place else "no fault", "at": rng.randrange(4)}
            for k in range(3)
        ]

    return twins(
        rng, side, _paint_part, truths(gold), truths(twin), ask={"what": "image with a fault"},
        answers=(options[gold], options[twin]), options=options, objects=("part", "bolts"),
        questions=(
            "Which image shows a faulty part?",
            "Which part must be sorted out?",
            "Which of these parts has a fault?",
        ),
    )  # fmt: skip


def _part_look(rng: random.Random) -> Truth:
    return {"metal": rng.choice(METALS), "at": rng.randrange(4)}


def _paint_part(canvas: Canvas, truth: Truth) -> None:
    """Draw a metal plate with four bolts and its fault, which lies in quarter `at`."""
    fault, at = truth["fault"], truth["at"]
    canvas.rectangle(8, 8, 92, 92, truth["metal"], radius=8, width=2.4)
    canvas.ellipse(50, 50, 26, 26, truth["ground"], width=2.4)
    x, y = BOLTS[at]
    for bolt in BOLTS:
        if fault not in ("missing bolt", "broken corner") or bolt != (x, y):
            canvas.ellipse(*bolt, 18, 18, "#5d6670", width=2)
    if fault == "missing bolt":
        canvas.ellipse(x, y, 12, 12, "white", width=1.6)
    elif fault == "broken corner":
        _break_corner(canvas, x, y, truth["ground"])
    elif fault == "rust":
        centre = ((50, 24), (76, 50), (50, 76), (24, 50))[at]
        for left, top, size in ((0, 0, 20), (8, 5, 14), (-8, 5, 12), (3, -8, 12)):
            canvas.ellipse(centre[0] + left, centre[1] + top, size, size, "#b5491a", None)
    elif fault == "scratch":
        ends = (((14, 44), (48, 12)), ((52, 12), (88, 48)), ((14, 56), (48, 90)),
                ((52, 90), (88, 54)))[at]  # fmt: skip
        middle = ((ends[0][0] + ends[1][0]) / 2 + 3, (ends[0][1] + ends[1][1]) / 2 + 3)
        canvas.line([ends[0], middle, ends[1]], "#d11a1a", 3.6)


def _break_corner(canvas: Canvas, x: float, y: float, ground: str) -> None:
    """Take away the corner of the plate next to (x, y)."""
    out_x, edge_x, in_x = (0, 8, 46) if x < 50 else (100, 92, 54)
    out_y, edge_y, in_y = (0, 8, 46) if y < 50 else (100, 92, 54)
    crack = [(in_x, edge_y), (x, y), (edge_x, in_y)]
    outside = [(out_x, in_y), (out_x, out_y), (in_x, out_y)]
    canvas.polygon([*crack, *outside], ground, None)
    canvas.line(crack, width=2.4)


def by_example(rng: random.Random, side: int) -> Draft:
    """Show a normal and a faulty part, which differ in one look: ask for a third part."""
    look, kinds = rng.choice(tuple(LOOKS)), ["normal", "faulty"]
    options, gold, twin = options_of(rng, kinds, 2)

    def truths(kind: str) -> list[Truth]:
        plain = {name: rng.choice(values) for name, values in LOOKS.items()}
        looks = dict(zip(kinds, rng.sample(LOOKS[look], 2), strict=True))
        other = {name: rng.choice(values) for name, values in LOOKS.items()}
        examples = [plain | {look: looks[name]} for name in kinds]
        return [*examples, other | {look: looks[kind]}]

    return twins(
        rng, side, _paint_sample, truths(gold), truths(twin),
        layout=("Normal part:", 0, "Faulty part:", 1, "New part:", 2),
        ask={"look": look}, answers=(gold, twin), options=options, tag="F10", objects=("part",),
        questions=(
            "Is the new part normal or faulty?",
            "How do you class the new part?",
            "Judge the new part by the two examples.",
        ),
    )  # fmt: skip


def _paint_sample(canvas: Canvas, truth: Truth) -> None:
    """Draw a plate with a colour, with holes in a row and a notch on one side."""
    canvas.rectangle(8, 20, 92, 80, truth["colour"], width=2.4)
    edge, way = (8, 1) if truth["notch"] == "left" else (92, -1)
    notch = [(edge, 32), (edge + 16 * way, 50), (edge, 68)]
    canvas.polygon(notch, truth["ground"], None)
    canvas.line(notch, width=2.4)
    count = truth["holes"]
    for hole in range(count):
        canvas.ellipse(50 + 15 * (hole - (count - 1) / 2), 50, 11, 11, "black", None)


def read_gauge(rng: random.Random, side: int) -> Draft:
    """Ask what a gauge shows; the scale stands on its face."""
    values = sorted({step * mark for step in STEPS for mark in range(1, MARKS + 1)})
    gold, twin = rng.sample(values, 2)
    colour = rng.choice(("red", "blue", "green"))

    def truth(value: int) -> Truth:
        steps = [s for s in STEPS if value % s == 0 and value // s <= MARKS]
        step = rng.choice(steps)
        return {"step": step, "mark": value // step, "colour": colour, "red": 0}

    return twins(
        rng, side, _paint_gauge, [truth(gold)], [truth(twin)], ask={"what": "value"},
        answers=(str(gold), str(twin)), kind="number", candidates=[str(v) for v in values],
        objects=("gauge",), tag="F4",
        questions=(
            "What value does the gauge show?",
            "Read the gauge.",
            "Which number does the needle point to?",
        ),
    )  # fmt: skip


def gauge_alarm(rng: random.Random, side: int) -> Draft:
    """Show a gauge over time: ask when its needle enters the red range."""
    interval = rng.choice((1, 2, 5, 10))
    gold, twin = rng.sample((1, 2, 3), 2)

    def truths(alarm: int) -> list[Truth]:
        before = sorted(rng.choice((0, 1, 2)) for _ in range(alarm))
        after = sorted(rng.choice((3, 4)) for _ in range(4 - alarm))
        return [
            {"step": 5, "mark": mark, "colour": "black", "red": 3} for mark in (*before, *after)
        ]

    return twins(
        rng, side, _paint_gauge, truths(gold), truths(twin), kind="number", tag="F6",
        ask={"red from": 3, "interval": interval},
        answers=(str(gold * interval), str(twin * interval)),
        candidates=[str(frame * interval) for frame in (1, 2, 3)], objects=("gauge",),
        times=tuple(float(frame * interval) for frame in range(4)),
        questions=(
            "At which second is the needle first in the red range?",
            "After how many seconds does the gauge enter the red?",
            "When, in seconds, does the alarm start (needle in red)?",
        ),
    )  # fmt: skip


def _paint_gauge(canvas: Canvas, truth: Truth) -> None:
    """Draw a half dial from 0 on the left to `MARKS` steps on the right."""
    canvas.pie(50, 62, 90, 180, 360, "white")
    if truth["red"]:
        canvas.pie(50, 62, 90, 180 + 180 * (truth["red"] - 0.5) / MARKS, 360, "#ff9c9c")
    for mark in range(MARKS + 1):
        canvas.line([_on_dial(mark, 35), _on_dial(mark, 43)], "black", 3.4)
    canvas.line([(50, 62), _on_dial(truth["mark"], 31)], truth["colour"], 6)
    canvas.ellipse(50, 62, 14, 14, "black")
    canvas.text("0", 12, 82, 20)
    canvas.text(str(MARKS * truth["step"]), 95, 82, 20, anchor="rm")


def _on_dial(mark: float, radius: float) -> tuple[float, float]:
    angle = math.pi * (1 - mark / MARKS)
    return 50 + radius * math.cos(angle), 62 - radius * math.sin(angle)


def missing_gear(rng: random.Random, side: int) -> Draft:
    """Ask which protective equipment a worker lacks."""
    options, gold, twin = options_of(rng, (*GEAR, "nothing"), 4)
    look = {"trousers": rng.choice(("blue", "brown", "grey"))}
    workers = [look | {"wears": [g for g in GEAR if g != lacks]} for lacks in (gold, twin)]
    return twins(
        rng, side, _paint_worker, workers[:1], workers[1:], ask={"gear": list(GEAR)},
        answers=(gold, twin), options=options, objects=("worker", *workers[0]["wears"]),
        questions=(
            "Helmet, vest, gloves: what is the worker missing?",
            "Of helmet, vest and gloves, what does the worker lack?",
            "Which of helmet, vest and gloves is not worn?",
        ),
    )  # fmt: skip


def worker_without(rng: random.Random, side: int) -> Draft:
    """Show three workers: ask who lacks one thing; another lacks another."""
    asked, other = rng.sample(GEAR, 2)
    options = images(1, 3)
    gold, twin = rng.sample(range(3), 2)
    look = {"trousers": rng.choice(("blue", "brown", "grey"))}

    def truths(place: int) -> list[Truth]:
        lacks = ["", "", ""]
        lacks[place] = asked
        lacks[rng.choice([k for k in range(3) if k != place])] = other
        return [look | {"wears": [g for g in GEAR if g != lack]} for lack in lacks]

    return twins(
        rng, side, _paint_worker, truths(gold), truths(twin), ask={"gear": asked},
        answers=(options[gold], options[twin]), options=options, objects=("worker", *GEAR),
        questions=phrase(
            (
                "Which image shows a worker without {gear}?",
                "Who works without {gear}?",
                "Find the worker who lacks {gear}.",
            ),
            gear=asked if asked == "gloves" else f"a {asked}",
        ),
    )  # fmt: skip


def _paint_worker(canvas: Canvas, truth: Truth) -> None:
    wears = truth["wears"]
    for x in (40, 60):
        canvas.rectangle(x - 9, 66, x + 9, 98, truth["trousers"])
    for x, hand in ((32, 14), (68, 86)):
        canvas.line([(x, 44), (hand, 64)], "#6b7684", 9)
        if "gloves" in wears:
            canvas.ellipse(hand, 67, 22, 22, "green", width=2)
        else:
            canvas.ellipse(hand, 67, 13, 13, "#f6cfb0")
    canvas.rectangle(29, 37, 71, 70, "#6b7684")
    if "vest" in wears:
        canvas.rectangle(29, 37, 71, 70, "orange", width=2)
        canvas.line([(31, 56), (69, 56)], "yellow", 6)
    canvas.ellipse(50, 23, 27, 27, "#f6cfb0")
    if "helmet" in wears:
        canvas.pie(50, 20, 34, 180, 360, "yellow")
        canvas.rectangle(29, 18, 71, 23, "yellow")
    else:
        canvas.pie(50, 20, 27, 190, 350, "brown")


GENERATORS = {
    ("industry", "single", "defect"): fault,
    ("industry", "multi", "defect"): faulty_part,
    ("industry", "interleaved", "defect"): by_example,
    ("industry", "single", "gauge"): read_gauge,
    ("industry", "frames", "gauge"): gauge_alarm,
    ("industry", "single", "equipment"): missing_gear,
    ("industry", "multi", "equipment"): worker_without,
}
