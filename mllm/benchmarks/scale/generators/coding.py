"""Coding: which code draws a figure, a chart or a part of a form; what a program does or prints."""

import itertools
import operator
import random

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import Truth
from mllm.benchmarks.scale.generators.pairs import colours, options_of, phrase, shuffled, twins
from mllm.benchmarks.scale.item import Draft

FIGURES = ("circle", "square", "triangle", "star", "heart", "cross")
WIDGETS = ("<button>", "<checkbox>", "<slider>", "<textbox>", "<radio>")
DICE = {1: ((50, 50),), 2: ((28, 28), (72, 72)), 3: ((26, 26), (50, 50), (74, 74)),
        4: ((28, 28), (72, 28), (28, 72), (72, 72)),
        5: ((26, 26), (74, 26), (26, 74), (74, 74), (50, 50))}  # fmt: skip
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}


def single(rng: random.Random, side: int) -> Draft:
    """Ask for the code of a figure, of a chart or of a part of a form."""
    return rng.choice((figure_to_code, chart_to_code, form_to_code))(rng, side)


def figure_to_code(rng: random.Random, side: int) -> Draft:
    """Ask which call draws the figures that are seen."""
    shapes, colour = rng.sample(FIGURES, 2), colours(rng, 1)[0]
    calls = list(itertools.product(rng.sample((1, 2, 3, 4, 5), 2), shapes))
    gold, twin = rng.sample(calls, 2)
    pictures = [
        {"draws": "figures", "count": count, "shape": shape, "colour": colour}
        for count, shape in (gold, twin)
    ]
    return _drawn_by(
        rng, side, pictures, [f"repeat({count}, {shape})" for count, shape in calls],
        (calls.index(gold), calls.index(twin)), (gold[1],),
    )  # fmt: skip


def chart_to_code(rng: random.Random, side: int) -> Draft:
    """Ask which call draws the bars that are seen."""
    colour = colours(rng, 1)[0]
    calls = rng.sample(list(itertools.permutations((1, 2, 4))), 4)
    gold, twin = rng.sample(range(4), 2)
    pictures = [{"draws": "bars", "bars": list(calls[k]), "colour": colour} for k in (gold, twin)]
    return _drawn_by(
        rng, side, pictures, [f"bar({list(bars)})" for bars in calls], (gold, twin), ("bars",)
    )


def form_to_code(rng: random.Random, side: int) -> Draft:
    """Ask which element of a form is seen."""
    colour = rng.choice(("blue", "green", "purple"))
    elements = rng.sample(WIDGETS, 4)
    gold, twin = rng.sample(range(4), 2)
    pictures = [{"draws": "form", "element": elements[k], "colour": colour} for k in (gold, twin)]
    return _drawn_by(rng, side, pictures, elements, (gold, twin), ("form",))


def _drawn_by(
    rng: random.Random,
    side: int,
    pictures: list[Truth],
    codes: list[str],
    which: tuple[int, int],
    objects: tuple[str, ...],
) -> Draft:
    """Return the draft that asks which of the codes draws a picture."""
    return twins(
        rng, side, _paint, pictures[:1], pictures[1:], ask={"what": pictures[0]["draws"]},
        answers=(codes[which[0]], codes[which[1]]), options=shuffled(rng, codes), objects=objects,
        questions=(
            "Which code draws this?",
            "Which line of code makes this picture?",
            "What code would you write for this?",
        ),
    )  # fmt: skip


def before_and_after(rng: random.Random, side: int) -> Draft:
    """Show an arrow before and after a call: ask which call it was."""
    colour, new = colours(rng, 2)
    calls = {
        "rotate(90)": {"turn": 90},
        "rotate(180)": {"turn": 180},
        "grow()": {"size": 88},
        "shrink()": {"size": 24},
        "left()": {"x": 22},
        "right()": {"x": 78},
        f"fill({new})": {"colour": new},
    }
    options, gold, twin = options_of(rng, tuple(calls))
    before = {"draws": "arrow", "x": 50, "size": 50, "turn": 0, "colour": colour}
    return twins(
        rng, side, _paint, [before, before | calls[gold]], [before, before | calls[twin]],
        ask={"changes": calls}, answers=(gold, twin), options=options, tag="F5",
        objects=("arrow",),
        questions=(
            "Which call turns image 1 into image 2?",
            "Image 1 is before, image 2 after the call. Which call?",
            "What code was run between image 1 and image 2?",
        ),
    )  # fmt: skip


def program(rng: random.Random, side: int) -> Draft:
    """Give a program whose variables are dice: ask what it prints."""
    sign = rng.choice(tuple(OPERATIONS))
    pairs: dict[int, list[tuple[int, int]]] = {}
    for x, y in itertools.product(DICE, repeat=2):
        if sign != "-" or x >= y:
            pairs.setdefault(OPERATIONS[sign](x, y), []).append((x, y))
    printed = sorted(pairs)
    gold, twin = rng.sample(printed, 2)
    inks = colours(rng, 2, without=("yellow",))

    def truths(result: int) -> list[Truth]:
        values = rng.choice(pairs[result])
        return [
            {"draws": "die", "value": value, "colour": ink}
            for value, ink in zip(values, inks, strict=True)
        ]

    return twins(
        rng, side, _paint, truths(gold), truths(twin), layout=("x =", 0, "y =", 1),
        ask={"operation": sign}, answers=(str(gold), str(twin)), kind="number",
        candidates=[str(value) for value in printed], tag="F10", objects=("dots",),
        questions=phrase(
            (
                "x and y count the dots. What does print(x {sign} y) print?",
                "Run print(x {sign} y) with these numbers of dots. What is the output?",
                "With the dots as values, what is x {sign} y?",
            ),
            sign=sign,
        ),
    )  # fmt: skip


def _paint(canvas: Canvas, truth: Truth) -> None:
    colour = truth["colour"]
    if truth["draws"] == "arrow":
        canvas.shape("arrow", truth["x"], 50, truth["size"], colour, truth["turn"])
    elif truth["draws"] == "figures":
        for x, y in DICE[truth["count"]]:
            canvas.shape(truth["shape"], x, y, 28, colour)
    elif truth["draws"] == "die":
        canvas.rectangle(6, 6, 94, 94, "white", radius=12, width=2.4)
        for x, y in DICE[truth["value"]]:
            canvas.ellipse(x, y, 19, 19, colour, None)
    elif truth["draws"] == "bars":
        canvas.line([(10, 8), (10, 92), (94, 92)], width=2.4)
        for place, height in enumerate(truth["bars"]):
            left = 17 + 26 * place
            canvas.rectangle(left, 92 - 20 * height, left + 19, 92, colour)
    else:
        _paint_element(canvas, truth["element"], colour)


def _paint_element(canvas: Canvas, element: str, colour: str) -> None:
    if element == "<button>":
        canvas.rectangle(12, 30, 88, 70, colour, radius=12)
        canvas.text("OK", 50, 50, 22, "white")
    elif element == "<checkbox>":
        canvas.rectangle(26, 26, 74, 74, "white", width=4)
        canvas.line([(36, 50), (47, 62), (66, 36)], colour, 9)
    elif element == "<slider>":
        canvas.line([(10, 50), (90, 50)], "grey", 7)
        canvas.line([(10, 50), (60, 50)], colour, 7)
        canvas.ellipse(60, 50, 24, 24, "white", width=3)
    elif element == "<textbox>":
        canvas.rectangle(6, 32, 94, 68, "white", width=3)
        canvas.text("Ab", 14, 50, 20, "black", "sans", "lm")
        canvas.line([(54, 38), (54, 62)], colour, 3)
    else:
        for y, chosen in ((28, True), (72, False)):
            canvas.ellipse(28, y, 34, 34, "white", width=3.4)
            if chosen:
                canvas.ellipse(28, y, 17, 17, colour, None)
            canvas.line([(56, y), (92, y)], "black", 5)


GENERATORS = {
    ("general", "single", "coding"): single,
    ("general", "multi", "coding"): before_and_after,
    ("general", "interleaved", "coding"): program,
}
