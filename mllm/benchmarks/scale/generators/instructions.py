"""Instructions: answers in a form that is prescribed, which a rule in the scene checks.

A rule is {"type": "json", "keys": […]}, an object with exactly these keys, or
{"type": "pattern", "pattern": "…"}, a regular expression that the whole answer matches.
"""

import itertools
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import Truth
from mllm.benchmarks.scale.generators.pairs import colours, phrase, twins
from mllm.benchmarks.scale.item import Draft

Value = TypeVar("Value")
FIGURES = ("circle", "square", "triangle", "star", "heart", "cross")


def single(rng: random.Random, side: int) -> Draft:
    """Ask for JSON, for a number of words or for capital letters."""
    return rng.choice((as_json, two_words, capitals))(rng, side)


def as_json(rng: random.Random, side: int) -> Draft:
    """Ask for colour and shape of a figure as JSON."""
    paints, shapes = colours(rng, 2), rng.sample(FIGURES, 2)
    figures = list(itertools.product(paints, shapes))
    keys = rng.choice((("color", "shape"), ("shape", "color")))

    def written(figure: tuple[str, str]) -> str:
        values = {"color": figure[0], "shape": figure[1]}
        return json.dumps({key: values[key] for key in keys})

    return _format(
        rng, side, figures, written, lambda figure: [_picture([figure])],
        rule={"type": "json", "keys": list(keys)}, ask="figure",
        questions=phrase(
            (
                'Answer in JSON with the keys "{a}" and "{b}": {shapes}? {paints}?',
                'Give a JSON object with "{a}" and "{b}" of the figure: {shapes}, {paints}.',
                'Describe the figure ({shapes}; {paints}) as JSON, keys "{a}" and "{b}".',
            ),
            a=keys[0], b=keys[1], shapes=" or ".join(shapes), paints=" or ".join(paints),
        ),
    )  # fmt: skip


def two_words(rng: random.Random, side: int) -> Draft:
    """Ask for exactly two words: the colours from left to right."""
    paints = colours(rng, 4)
    shape = rng.choice(FIGURES)
    return _format(
        rng, side, list(itertools.permutations(paints[:3], 2)), " ".join,
        lambda pair: [_picture([(colour, shape) for colour in pair])],
        rule={"type": "pattern", "pattern": r"[a-z]+ [a-z]+"}, ask="colours",
        questions=phrase(
            (
                "Name the colours from left to right in exactly two words.",
                "Two words, no more: the left colour, then the right one.",
                "Answer with two lower-case words: the colours, left one first.",
            ),
        ),
    )  # fmt: skip


def capitals(rng: random.Random, side: int) -> Draft:
    """Ask for the name of a figure in capital letters."""
    shapes, colour = rng.sample(FIGURES, 4), colours(rng, 1)[0]
    return _format(
        rng, side, shapes, str.upper, lambda shape: [_picture([(colour, shape)])],
        rule={"type": "pattern", "pattern": "[A-Z]+"}, ask="shape",
        questions=phrase(
            (
                "Write the name of the figure in capital letters: {shapes}?",
                "In capitals only, which is it: {shapes}?",
                "Answer with one word in upper case: {shapes}?",
            ),
            shapes=", ".join(shapes),
        ),
    )  # fmt: skip


def one_answer_each(rng: random.Random, side: int) -> Draft:
    """Ask for the colour of each of three pictures, with its number."""
    paints, shape = colours(rng, 2), rng.choice(FIGURES)
    return _format(
        rng, side, list(itertools.product(paints, repeat=3)),
        lambda row: "; ".join(f"{k}: {colour}" for k, colour in enumerate(row, 1)),
        lambda row: [_picture([(colour, shape)]) for colour in row],
        rule={"type": "pattern", "pattern": "1: [a-z]+; 2: [a-z]+; 3: [a-z]+"},
        ask="colours", tag="F7",
        questions=phrase(
            (
                'Is each image {a} or {b}? Answer as "1: …; 2: …; 3: …".',
                'Give the colour of every image, {a} or {b}, like "1: …; 2: …; 3: …".',
                'Write "1: …; 2: …; 3: …" with the colour ({a} or {b}) of each image.',
            ),
            a=paints[0], b=paints[1],
        ),
    )  # fmt: skip


def time_stamp(rng: random.Random, side: int) -> Draft:
    """Ask for the time of a frame as mm:ss."""
    shapes, paints = rng.sample(FIGURES, 2), colours(rng, 2)
    step = rng.choice((5, 10, 15, 20))
    return _format(
        rng, side, range(4), lambda k: f"{k * step // 60:02d}:{k * step % 60:02d}",
        lambda k: [
            _picture([(paints[n == k], shapes[n == k])]) for n in range(4)
        ],
        rule={"type": "pattern", "pattern": r"\d\d:\d\d"}, ask={"shape": shapes[1], "step": step},
        tag="F6", times=tuple(float(step * k) for k in range(4)),
        questions=phrase(
            (
                "When does the {shape} appear? Answer as mm:ss.",
                "Give the time of the {shape} in the form mm:ss.",
                "At which time, written mm:ss, is the {shape} shown?",
            ),
            shape=shapes[1],
        ),
    )  # fmt: skip


def refer_by_index(rng: random.Random, side: int) -> Draft:
    """Ask for the label of a figure in brackets; the labels stand in the text."""
    labels = rng.choice((("A", "B", "C"), ("P", "Q", "R"), ("7", "8", "9")))
    shapes = rng.sample(FIGURES, 3)
    paints = colours(rng, 3)

    def truths(place: int) -> list[Truth]:
        others = rng.sample(shapes[1:], 2)
        order = [*others[:place], shapes[0], *others[place:]]
        return [_picture([mark]) for mark in zip(paints, order, strict=True)]

    layout = tuple(part for k, label in enumerate(labels) for part in (f"Figure {label}:", k))
    return _format(
        rng, side, range(3), lambda k: f"[{labels[k]}]", truths, layout=layout,
        rule={"type": "pattern", "pattern": r"\[[A-Z0-9]\]"}, tag="F7",
        ask={"shape": shapes[0], "labels": labels},
        questions=phrase(
            (
                "Which figure is a {shape}? Answer like [{x}].",
                "Refer to the {shape} by its label in square brackets, like [{x}].",
                "Give the label of the {shape} in the form [{x}].",
            ),
            shape=shapes[0], x="X",
        ),
    )  # fmt: skip


def _format(
    rng: random.Random,
    side: int,
    values: Sequence[Value],
    written: Callable[[Value], str],
    truths: Callable[[Value], list[Truth]],
    *,
    rule: dict[str, Any],
    ask: Any,
    tag: str = "F9",
    **fields: Any,
) -> Draft:
    """Draw one of the values and another as its twin, and add the rule of the answer."""
    gold, twin = rng.sample(values, 2)
    pictures = truths(gold)
    shown = dict.fromkeys(shape for truth in pictures for _, shape in truth["marks"])
    draft = twins(
        rng, side, _paint, pictures, truths(twin), kind="format", tag=tag,
        answers=(written(gold), written(twin)), candidates=[written(value) for value in values],
        ask={"what": ask}, objects=tuple(shown), **fields,
    )  # fmt: skip
    draft.scene["rule"] = rule
    return draft


def _picture(marks: Sequence[tuple[str, str]]) -> Truth:
    return {"marks": [list(mark) for mark in marks]}


def _paint(canvas: Canvas, truth: Truth) -> None:
    marks = truth["marks"]
    for place, (colour, shape) in enumerate(marks):
        if len(marks) == 1:
            canvas.shape(shape, 50, 50, 62, colour)
        else:
            canvas.shape(shape, 27 + 46 * place, 50, 38, colour)


GENERATORS = {
    ("general", "single", "instructions"): single,
    ("general", "multi", "instructions"): one_answer_each,
    ("general", "frames", "instructions"): time_stamp,
    ("general", "interleaved", "instructions"): refer_by_index,
}
