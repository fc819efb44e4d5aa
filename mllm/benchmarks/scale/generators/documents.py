"""Text in pictures: words, charts, tables, bills, pages, running text, a form with a note."""

import random

from mllm.benchmarks.scale.draw import MARK_COLOURS, Canvas
from mllm.benchmarks.scale.generators.common import (
    FRAME_SECONDS,
    Truth,
    background,
    draft,
    other_than,
    shift,
)
from mllm.benchmarks.scale.item import Draft

WORDS = (
    "SUN", "MAP", "CAT", "BUS", "ICE", "OAK", "PEN", "FOX", "JAM", "KEY", "LEG", "NUT",
    "OWL", "RED", "SKY", "TEA", "VAN", "WAX", "ZOO", "DOG", "EGG", "FIG", "GUM", "HAT",
    "BOAT", "CAKE", "DESK", "FARM", "GOLD", "HAND", "JUMP", "KING", "LAMP", "MILK", "NEST", "OVEN",
)  # fmt: skip
LONG_WORDS = (
    "ANCHOR", "BASKET", "CASTLE", "DRAGON", "ENGINE", "FOREST", "GARDEN", "HAMMER",
    "ISLAND", "JACKET", "KETTLE", "LADDER", "MARKET", "NEEDLE", "ORANGE", "PENCIL",
    "RABBIT", "SADDLE", "TICKET", "VIOLIN", "WINDOW", "YELLOW", "ZIPPER", "UNCLES",
)  # fmt: skip
GOODS = ("BUN", "TEA", "EGG", "JAM", "NUT", "FIG", "PIE", "HAM")
DIGITS = tuple("123456789")
PAGES = ("1", "2", "3")
LINES = ("A", "B", "C")
_TEXT_COLOURS = ("black", "blue", "purple", "brown", "red")
_FONTS = ("bold", "serif", "mono")


def single(rng: random.Random, side: int) -> Draft:
    """Read a word, a bar chart, a pie chart, a table or a receipt."""
    return rng.choice((_word, _bars, _pie, _table, _receipt))(rng, side)


def _word(rng: random.Random, side: int) -> Draft:
    answers = tuple(rng.sample(WORDS, 2))
    truths = [_line(rng, answer) for answer in answers]
    return draft(
        _paint_line, side, {"what": "word"}, truths[:1], truths[1:], answers,
        questions=("What is written here?", "Which word is written here?", "Read the word."),
        kind="transcript", candidates=WORDS, tag="F4", objects=("word",),
    )  # fmt: skip


def _line(rng: random.Random, text: str) -> Truth:
    return {
        "background": background(rng),
        "text": text,
        "colour": rng.choice(_TEXT_COLOURS),
        "font": rng.choice(_FONTS),
        "x": 50 + shift(rng, 4 if len(text) > 3 else 12),
        "y": 50 + shift(rng, 28),
    }


def _paint_line(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    text, x, y = truth["text"], truth["x"], truth["y"]
    canvas.text(text, x, y, 21, truth["colour"], truth["font"])
    return canvas.png()


def _bars(rng: random.Random, side: int) -> Draft:
    colours = rng.sample(MARK_COLOURS, 4)
    if rng.random() < 0.5:
        asked = rng.choice(colours)
        answers = tuple(rng.sample(DIGITS, 2))
        truths = []
        for answer in answers:
            values = [int(answer) if c == asked else rng.randint(1, 9) for c in colours]
            truths.append(_chart(rng, colours, values))
        return draft(
            _paint_bars, side, {"what": "value", "colour": asked}, truths[:1], truths[1:], answers,
            questions=(
                f"What is the value of the {asked} bar?",
                f"Which number does the {asked} bar have?",
                f"Read the chart. How much is {asked}?",
            ),
            kind="number", candidates=DIGITS, tag="F4", objects=("bar chart",),
        )  # fmt: skip
    word = rng.choice(("highest", "lowest"))
    options = tuple(rng.sample(colours, 4))
    answers = tuple(rng.sample(options, 2))
    truths = []
    for answer in answers:
        values = sorted(rng.sample(range(1, 10), 4), reverse=word == "highest")
        ranked = [answer, *rng.sample([c for c in colours if c != answer], 3)]
        by_colour = dict(zip(ranked, values, strict=True))
        truths.append(_chart(rng, colours, [by_colour[c] for c in colours]))
    return draft(
        _paint_bars, side, {"what": word}, truths[:1], truths[1:], answers,
        questions=(
            f"Which bar is the {word}?",
            f"What colour is the {word} bar?",
            f"Read the chart. Which colour has the {word} bar?",
        ),
        kind="choice", options=options, tag="F4", objects=("bar chart",),
    )  # fmt: skip


def _chart(rng: random.Random, colours: list[str], values: list[int]) -> Truth:
    bars = [list(bar) for bar in zip(colours, values, strict=True)]
    rng.shuffle(bars)
    return {"background": background(rng), "bars": bars}


def _paint_bars(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    canvas.line([(3, 96), (97, 96)], width=2.5)
    for number, (colour, value) in enumerate(truth["bars"]):
        x = 14 + 24 * number
        top = 94 - 7.4 * value
        canvas.rectangle(x - 9, top, x + 9, 95, colour)
        canvas.text(str(value), x, top - 12, 19)
    return canvas.png()


def _pie(rng: random.Random, side: int) -> Draft:
    colours = rng.sample(MARK_COLOURS, 4)
    word = rng.choice(("largest", "smallest"))
    options = tuple(rng.sample(colours, 4))
    answers = tuple(rng.sample(options, 2))
    shares = {"largest": (46, 24, 16, 14), "smallest": (10, 24, 30, 36)}[word]
    truths = []
    for answer in answers:
        ranked = [answer, *rng.sample([c for c in colours if c != answer], 3)]
        parts = [list(part) for part in zip(ranked, shares, strict=True)]
        rng.shuffle(parts)
        start = rng.randrange(360)
        truths.append({"background": background(rng), "parts": parts, "start": start})
    return draft(
        _paint_pie, side, {"what": word}, truths[:1], truths[1:], answers,
        questions=(
            f"Which part is the {word}?",
            f"What colour is the {word} part?",
            f"Read the chart. Which colour has the {word} part?",
        ),
        kind="choice", options=options, tag="F4", objects=("pie chart",),
    )  # fmt: skip


def _paint_pie(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    angle = truth["start"]
    for colour, share in truth["parts"]:
        canvas.pie(50, 50, 88, angle, angle + 3.6 * share, colour)
        angle += 3.6 * share
    return canvas.png()


def _table(rng: random.Random, side: int) -> Draft:
    rows, columns = sorted(rng.sample("ABCD", 2)), sorted(rng.sample("WXYZ", 2))
    row, column = rng.choice(rows), rng.choice(columns)
    answers = tuple(rng.sample(DIGITS, 2))
    truths = []
    for answer in answers:
        others = iter(rng.sample([digit for digit in DIGITS if digit != answer], 3))
        cells = [
            [answer if (r, c) == (row, column) else next(others) for c in columns] for r in rows
        ]
        head = rng.choice(("sky", "mint", "cream"))
        truths.append({"rows": rows, "columns": columns, "cells": cells, "head": head})
    return draft(
        _paint_table, side, {"what": "cell", "row": row, "column": column},
        truths[:1], truths[1:], answers,
        questions=(
            f"Which number is in row {row}, column {column}?",
            f"What does the table say in row {row} under {column}?",
            f"Find row {row} and column {column}. Which number is there?",
        ),
        kind="number", candidates=DIGITS, tag="F4", objects=("table",),
    )  # fmt: skip


def _paint_table(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, "white")
    canvas.rectangle(0, 0, 100, 33, truth["head"], outline=None)
    canvas.rectangle(0, 0, 33, 100, truth["head"], outline=None)
    for at in (33, 67):
        canvas.line([(at, 0), (at, 100)], width=2)
        canvas.line([(0, at), (100, at)], width=2)
    centres = (17, 50, 84)
    for number, name in enumerate(truth["columns"]):
        canvas.text(name, centres[number + 1], 17, 20, "blue")
    for number, name in enumerate(truth["rows"]):
        canvas.text(name, 17, centres[number + 1], 20, "blue")
        for place, digit in enumerate(truth["cells"][number]):
            canvas.text(digit, centres[place + 1], centres[number + 1], 20)
    return canvas.png()


def _receipt(rng: random.Random, side: int) -> Draft:
    asked = rng.choice(GOODS)
    answers = tuple(rng.sample(DIGITS, 2))
    truths = []
    for answer in answers:
        goods = [asked, *rng.sample([name for name in GOODS if name != asked], 2)]
        prices = [answer, *rng.sample([digit for digit in DIGITS if digit != answer], 2)]
        lines = [list(line) for line in zip(goods, prices, strict=True)]
        rng.shuffle(lines)
        truths.append({"lines": lines, "band": rng.choice(MARK_COLOURS)})
    word = asked.lower()
    return draft(
        _paint_receipt, side, {"what": "price", "good": asked}, truths[:1], truths[1:], answers,
        questions=(
            f"What does the {word} cost?",
            f"What is the price of the {word}?",
            f"Read the bill. How much is the {word}?",
        ),
        kind="number", candidates=DIGITS, tag="F4", objects=("bill",),
    )  # fmt: skip


def _paint_receipt(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, "white")
    canvas.rectangle(0, 0, 100, 9, truth["band"], outline=None)
    for number, (good, price) in enumerate(truth["lines"]):
        y = 25 + 30 * number
        canvas.text(good, 4, y, 19, font="mono", anchor="lm")
        canvas.text(price, 96, y, 19, font="mono", anchor="rm")
        canvas.line([(3, y + 15), (97, y + 15)], "grey", 1.6)
    return canvas.png()


def multi(rng: random.Random, side: int) -> Draft:
    """Find the page of a word, or the number on the page of a word."""
    asked = rng.choice(GOODS)
    ask = rng.choice(("page", "number"))
    candidates = PAGES if ask == "page" else DIGITS
    answers = tuple(rng.sample(candidates, 2))
    pages = []
    for answer in answers:
        position = PAGES.index(answer) if ask == "page" else rng.randrange(3)
        words = rng.sample([name for name in GOODS if name != asked], 2)
        digits = rng.sample([digit for digit in DIGITS if digit != answer], 3)
        words.insert(position, asked)
        if ask == "number":
            digits[position] = answer
        pages.append([_page(rng, *parts) for parts in zip(words, digits, strict=True)])
    word = asked.lower()
    if ask == "page":
        questions = (
            f"On which page is the word {word}?",
            f"Which page says {word}?",
            f"What is the number of the picture with the word {word}?",
        )
    else:
        questions = (
            f"Which number is on the page with the word {word}?",
            f"One page says {word}. Which number is below it?",
            f"Read the number that belongs to {word}.",
        )
    return draft(
        _paint_page, side, {"what": ask, "word": asked}, pages[0], pages[1], answers,
        questions=questions, kind="number", candidates=candidates, tag="F7", objects=("page",),
    )  # fmt: skip


def _page(rng: random.Random, word: str, digit: str) -> Truth:
    band = rng.choice(MARK_COLOURS)
    return {"background": background(rng), "word": word, "digit": digit, "band": band}


def _paint_page(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    canvas.rectangle(8, 3, 92, 97, "white")
    canvas.rectangle(8, 3, 92, 14, truth["band"])
    canvas.text(truth["word"], 50, 37, 21)
    canvas.text(truth["digit"], 50, 73, 26, "blue")
    return canvas.png()


def frames(rng: random.Random, side: int) -> Draft:
    """Read a word of six letters that runs past a window of three."""
    answers = tuple(rng.sample(LONG_WORDS, 2))
    truths, twin = (_running(rng, answer) for answer in answers)
    return draft(
        _paint_running, side, {"what": "running word"}, truths, twin, answers,
        questions=(
            "Which word runs by?",
            "A word runs through the frames. Which one?",
            "Read the whole word that moves past.",
        ),
        kind="transcript", candidates=LONG_WORDS, tag="F4", objects=("word",),
        times=FRAME_SECONDS,
    )  # fmt: skip


def _running(rng: random.Random, word: str) -> list[Truth]:
    common = {
        "background": background(rng),
        "colour": rng.choice(_TEXT_COLOURS),
        "y": 50 + shift(rng, 20),
    }
    return [common | {"letters": word[first : first + 3]} for first in range(4)]


def _paint_running(side: int, truth: Truth) -> bytes:
    canvas = Canvas(side, truth["background"])
    y = truth["y"]
    canvas.rectangle(-5, y - 21, 105, y + 21, "white")
    for number, letter in enumerate(truth["letters"]):
        canvas.text(letter, 18 + 32 * number, y, 24, truth["colour"], "mono")
    return canvas.png()


def interleaved(rng: random.Random, side: int) -> Draft:
    """Read the line of a form that a note names."""
    answers = tuple(rng.sample(DIGITS, 2))
    third = other_than(rng, DIGITS, *answers)
    digits = rng.sample([*answers, third], 3)
    form = {"form": [list(line) for line in zip(LINES, digits, strict=True)]}
    form["band"] = rng.choice(MARK_COLOURS)
    notes = [_note(rng, LINES[digits.index(answer)]) for answer in answers]
    return draft(
        _paint_form, side, {"what": "line of the note"},
        [notes[0], form], [notes[1], form], answers,
        layout=("This note names a line:", 0, "This is the form:", 1),
        questions=(
            "Which number is on that line?",
            "What does the form say on the line of the note?",
            "Follow the note. Which number do you read?",
        ),
        kind="number", candidates=DIGITS, tag="F4", objects=("note", "form"),
    )  # fmt: skip


def _note(rng: random.Random, line: str) -> Truth:
    return {
        "note": line,
        "x": 50 + shift(rng, 20),
        "y": 50 + shift(rng, 20),
        "paper": background(rng),
    }


def _paint_form(side: int, truth: Truth) -> bytes:
    if "note" in truth:
        canvas = Canvas(side, "grey")
        x, y = truth["x"], truth["y"]
        canvas.rectangle(x - 27, y - 27, x + 27, y + 27, truth["paper"])
        canvas.text(truth["note"], x, y, 34, "red")
        return canvas.png()
    canvas = Canvas(side, "white")
    canvas.rectangle(0, 0, 100, 9, truth["band"], outline=None)
    for number, (line, digit) in enumerate(truth["form"]):
        y = 25 + 30 * number
        canvas.text(line, 18, y, 19, "red")
        canvas.rectangle(42, y - 13, 94, y + 13, "cream")
        canvas.text(digit, 68, y, 19)
    return canvas.png()


GENERATORS = {
    ("general", "single", "documents"): single,
    ("general", "multi", "documents"): multi,
    ("general", "frames", "documents"): frames,
    ("general", "interleaved", "documents"): interleaved,
}
