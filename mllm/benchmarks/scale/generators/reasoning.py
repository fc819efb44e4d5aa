"""Abstract reasoning: matrices in the manner of Raven, analogies, puzzles with clues in words."""

import itertools
import random
from collections.abc import Sequence

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import PLURALS, Truth
from mllm.benchmarks.scale.generators.pairs import colours, options_of, phrase, shuffled, twins
from mllm.benchmarks.scale.item import Draft

FIGURES = ("circle", "square", "triangle", "star", "heart", "cross")
SIZES = {"small": 30, "big": 72}
PLACES = ("left", "middle", "right")
SPOTS = ((-7, -9), (7, -9), (-7, 0), (7, 0), (-7, 9), (7, 9))  # of dots in a cell
Figure = tuple[str, str]  # (colour, shape)

MATRIX_QUESTIONS = (
    "Which figure completes the matrix?",
    "What belongs in the empty cell?",
    "Which figure replaces the question mark?",
)


def matrix(rng: random.Random, side: int) -> Draft:
    """Ask for the last cell of a 3 x 3 matrix."""
    return rng.choice((figure_matrix, dot_matrix))(rng, side)


def figure_matrix(rng: random.Random, side: int) -> Draft:
    """Build a matrix of figures.

    Either each row has a shape and each column a colour, or each row has a colour and each of the
    three shapes once.
    """
    shapes, paints = rng.sample(FIGURES, 3), colours(rng, 3)
    rule = rng.choice(("row and column", "each once"))
    figures = list(itertools.product(paints[:2], shapes[:2]))
    gold, twin = rng.sample(figures, 2)

    def truth(figure: Figure) -> Truth:
        colour, shape = figure
        last_shapes = [*shuffled(rng, [s for s in shapes if s != shape]), shape]
        last_colours = [*shuffled(rng, [c for c in paints if c != colour]), colour]
        rows = [
            [
                [last_colours[column], last_shapes[row]]
                if rule == "row and column"
                else [last_colours[row], last_shapes[(row + column + 1) % 3]]
                for column in range(3)
            ]
            for row in range(3)
        ]
        rows[2][2] = []
        return {"rows": rows}

    options = shuffled(rng, [" ".join(figure) for figure in figures])
    return twins(
        rng, side, _paint_matrix, [truth(gold)], [truth(twin)],
        ask={"rule": rule}, answers=(" ".join(gold), " ".join(twin)), options=options, tag="F10",
        questions=MATRIX_QUESTIONS, objects=tuple(shapes),
    )  # fmt: skip


def dot_matrix(rng: random.Random, side: int) -> Draft:
    """Build a matrix of dots: in each row the first two cells add up to the third."""
    colour = colours(rng, 1)[0]
    totals = rng.sample(range(2, 7), 4)
    gold, twin = rng.sample(totals, 2)

    def truth(total: int) -> Truth:
        rows = []
        for last in (rng.randrange(2, 7), rng.randrange(2, 7), total):
            first = rng.randrange(1, last)
            rows.append([first, last - first, last])
        rows[2][2] = 0
        return {"rows": rows, "colour": colour}

    return twins(
        rng, side, _paint_matrix, [truth(gold)], [truth(twin)],
        ask={"rule": "sum"}, answers=(f"{gold} dots", f"{twin} dots"),
        options=[f"{total} dots" for total in totals], tag="F10",
        questions=MATRIX_QUESTIONS, objects=("dots",),
    )  # fmt: skip


def _paint_matrix(canvas: Canvas, truth: Truth) -> None:
    for row, column in itertools.product(range(3), repeat=2):
        x, y = 18 + 32 * column, 18 + 32 * row
        cell = truth["rows"][row][column]
        canvas.rectangle(x - 15, y - 15, x + 15, y + 15, "white", width=1.6)
        if not cell:
            canvas.text("?", x, y, 20)
        elif isinstance(cell, int):
            for left, top in SPOTS[:cell]:
                canvas.ellipse(x + left, y + top, 8, 8, truth["colour"], None)
        else:
            canvas.shape(cell[1], x, y, 22, cell[0])


def analogy(rng: random.Random, side: int) -> Draft:
    """Show a figure, how it changes, and another figure: ask what the same change makes of it."""
    shape, model = rng.sample(FIGURES, 2)
    paints = colours(rng, 2)
    figures = list(itertools.product(SIZES, paints))
    gold, twin = rng.sample(figures, 2)

    def truths(result: Sequence[str]) -> list[Truth]:
        start = rng.choice([figure for figure in figures if figure != result])
        looks = ((start, model), (result, model), (start, shape))
        return [{"size": size, "colour": colour, "shape": of} for (size, colour), of in looks]

    options = shuffled(rng, [f"{size} {colour} {shape}" for size, colour in figures])
    return twins(
        rng, side, _paint_figure, truths(gold), truths(twin),
        ask={"change": [0, 1], "apply": 2}, options=options, tag="F10", objects=(model, shape),
        answers=(f"{gold[0]} {gold[1]} {shape}", f"{twin[0]} {twin[1]} {shape}"),
        questions=(
            "Image 1 becomes image 2. What does image 3 become?",
            "Image 1 is to image 2 as image 3 is to what?",
            "Change image 3 as image 1 was changed. What is the result?",
        ),
    )  # fmt: skip


def _paint_figure(canvas: Canvas, truth: Truth) -> None:
    canvas.shape(truth["shape"], 50, 50, SIZES[truth["size"]], truth["colour"])


def puzzle(rng: random.Random, side: int) -> Draft:
    """Ask for a deduction or for a sum."""
    return rng.choice((hidden_prize, worth))(rng, side)


def hidden_prize(rng: random.Random, side: int) -> Draft:
    """Hide a prize at one of three marks; two clues, half in words, rule out the others."""
    options, gold, twin = options_of(rng, PLACES, 3)

    def truths(place: str) -> list[Truth]:
        paints, shapes = colours(rng, 3), rng.sample(FIGURES, 3)
        by_colour, by_shape = shuffled(rng, [k for k in range(3) if PLACES[k] != place])
        return [
            {"marks": [list(mark) for mark in zip(paints, shapes, strict=True)]},
            {"marks": [[paints[by_colour], "patch"]]},
            {"marks": [["white", shapes[by_shape]]]},
        ]

    pictures = truths(gold)
    return twins(
        rng, side, _paint_marks, pictures, truths(twin),
        layout=("A prize is under one of these:", 0, "It is not this colour:", 1,
                "It is not this shape:", 2),
        ask={"not colour": 1, "not shape": 2}, answers=(gold, twin), options=options, tag="F10",
        questions=(
            "Where is the prize?",
            "Under which mark is the prize?",
            "Which mark hides the prize?",
        ),
        objects=tuple(shape for _, shape in pictures[0]["marks"]),
    )  # fmt: skip


def worth(rng: random.Random, side: int) -> Draft:
    """Say in words what a mark is worth, show how many there are: ask for the total."""
    shapes, paints = rng.sample(FIGURES, 2), colours(rng, 2)
    value = rng.choice((2, 3))
    totals = range(value + 1, value + 7)
    gold, twin = rng.sample(totals, 2)

    def truths(total: int) -> list[Truth]:
        many = rng.randrange(max(1, -(-(total - 4) // value)), (total - 1) // value + 1)
        counts = (many, total - value * many)
        return [
            {"marks": [[paint, shape]] * count}
            for paint, shape, count in zip(paints, shapes, counts, strict=True)
        ]

    return twins(
        rng, side, _paint_marks, truths(gold), truths(twin),
        layout=(f"Each {shapes[0]} is worth {value}:", 0, f"Each {shapes[1]} is worth 1:", 1),
        ask={"values": [value, 1]}, answers=(str(gold), str(twin)), kind="number",
        candidates=[str(total) for total in totals], tag="F10", objects=tuple(shapes),
        questions=phrase(
            (
                "What are all {a} and {b} worth together?",
                "What is the total value of both images?",
                "Add up the values of all {a} and {b}.",
            ),
            a=PLURALS[shapes[0]], b=PLURALS[shapes[1]],
        ),
    )  # fmt: skip


def _paint_marks(canvas: Canvas, truth: Truth) -> None:
    """Draw one mark in the middle, three in a row, or others two by two."""
    marks = truth["marks"]
    places = {
        1: ((50, 50),),
        2: ((28, 50), (72, 50)),
        3: ((18, 50), (50, 50), (82, 50)),
    }.get(len(marks), ((28, 28), (72, 28), (28, 72), (72, 72)))
    size = 56 if len(marks) == 1 else 28 if len(marks) == 3 else 36
    for (colour, shape), (x, y) in zip(marks, places, strict=True):
        if shape == "patch":
            canvas.rectangle(10, 10, 90, 90, colour, radius=20)
        else:
            canvas.shape(shape, x, y, size, colour, width=2.4)


GENERATORS = {
    ("general", "single", "reasoning"): matrix,
    ("general", "multi", "reasoning"): analogy,
    ("general", "interleaved", "reasoning"): puzzle,
}
