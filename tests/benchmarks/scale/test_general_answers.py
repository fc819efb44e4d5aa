"""Recompute the answers of generated items from the truth of their pictures."""

import itertools
import json
import random
import re

import pytest

from mllm.benchmarks.scale.generators import GENERATORS, multilingual

DRAWS = 40
SIDE = 16  # answers do not depend on it

BELONGS = {"sea": "ship", "desert": "camel", "snow": "sled", "night": "owl", "road": "truck",
           "forest": "deer"}  # fmt: skip
COMES_FROM = {"egg": "hen", "apple": "apple tree", "wool": "sheep", "bread": "wheat",
              "honey": "bee", "milk": "cow"}  # fmt: skip
HAPPENS = {"pit": "it falls", "wall": "it bounces", "water": "it splashes", "floor": "it rolls on"}


def marks_of(truth):
    return [tuple(mark) for mark in truth["marks"]]


def in_order(keys):
    """Return the image numbers, sorted by key, as an answer of kind order."""
    numbers = sorted(range(len(keys)), key=lambda k: keys[k])
    return ", ".join(str(k + 1) for k in numbers)


# Knowledge


def place(ask, pictures):
    return BELONGS[pictures[0]["place"]]


def origin(ask, pictures):
    names = [truth["items"][0] for truth in pictures]
    return f"image {names.index(COMES_FROM[names[0]]) + 1}"


def next_event(ask, pictures):
    assert [truth["x"] for truth in pictures] == sorted(truth["x"] for truth in pictures)
    return HAPPENS[pictures[-1]["ahead"]]


def recipe(ask, pictures):
    there = {name for truth in pictures for name in truth["items"]}
    (missing,) = set(ask["needed"]) - there
    return missing


# Temporal order


def sort_images(ask, pictures):
    levels = [truth["level"] for truth in pictures]
    return in_order(levels if ask["rises"] else [-level for level in levels])


def in_frames(ask, pictures):
    if "order" in ask:
        return pictures[ask["order"]]["lamps"][0]
    dark = [truth["lamps"][ask["lamp"]] == "off" for truth in pictures]
    assert dark == sorted(dark)  # a lamp that is off stays off
    return str(dark.index(True) * ask["step"])


def continue_story(ask, pictures):
    first, second, third = (truth["level"] for truth in pictures)
    assert second - first == third - second
    (change,) = [name for name, slope in ask["change"].items() if slope == second - first]
    return change


# Reasoning


def matrix(ask, pictures):
    rows = pictures[0]["rows"]
    if ask["rule"] == "sum":
        assert all(row[0] + row[1] == row[2] for row in rows[:2])
        return f"{rows[2][0] + rows[2][1]} dots"
    if ask["rule"] == "row and column":
        assert rows[0][2][0] == rows[1][2][0] and rows[2][0][1] == rows[2][1][1]
        return f"{rows[0][2][0]} {rows[2][0][1]}"
    (shape,) = {cell[1] for cell in rows[0]} - {cell[1] for cell in rows[2][:2]}
    assert {cell[1] for cell in rows[0]} == {cell[1] for cell in rows[1]}
    return f"{rows[2][0][0]} {shape}"


def analogy(ask, pictures):
    before, after, other = pictures
    result = dict(other)
    for look in ("size", "colour"):
        assert other[look] == before[look]
        result[look] = after[look]
    return f"{result['size']} {result['colour']} {result['shape']}"


def puzzle(ask, pictures):
    if "values" in ask:
        counts = [len(truth["marks"]) for truth in pictures]
        return str(sum(n * value for n, value in zip(counts, ask["values"], strict=True)))
    colour = pictures[ask["not colour"]]["marks"][0][0]
    shape = pictures[ask["not shape"]]["marks"][0][1]
    (place,) = [k for k, mark in enumerate(marks_of(pictures[0]))
                if mark[0] != colour and mark[1] != shape]  # fmt: skip
    return ("left", "middle", "right")[place]


# Instructions


def instructions(ask, pictures):
    what = ask["what"]
    colour, shape = marks_of(pictures[0])[0]
    if what == "figure":
        return json.dumps({"color": colour, "shape": shape})
    if what == "shape":
        return shape.upper()
    if what == "colours" and len(pictures) == 1:
        return " ".join(colour for colour, _ in marks_of(pictures[0]))
    if what == "colours":
        return "; ".join(f"{k}: {marks_of(t)[0][0]}" for k, t in enumerate(pictures, 1))
    (place,) = [k for k, t in enumerate(pictures) if marks_of(t)[0][1] == what["shape"]]
    if "labels" in what:
        return f"[{what['labels'][place]}]"
    minutes, seconds = divmod(place * what["step"], 60)
    return f"{minutes:02d}:{seconds:02d}"


# Languages


def meaning(word):
    """Return the place of a number word; a word of two languages means the same in both."""
    (place,) = {row.index(word) for row in multilingual.NUMBERS.values() if word in row}
    return place


def languages(ask, pictures):
    words = [truth.get("word") for truth in pictures]
    if ask.get("what") == "number":
        return "12357"[meaning(words[0])]
    if ask.get("what") == "colour":
        place = multilingual.COLOURS.index(pictures[0]["colour"])
        return multilingual.COLOUR_WORDS[ask["language"]][place]
    if "same as" in ask:
        (place,) = [k for k in range(1, 4) if meaning(words[k]) == meaning(words[0])]
        return f"image {place + 1}"
    names = multilingual.NUMBERS[ask["language"]]
    (place,) = [k for k, word in enumerate(words) if word in names]
    return f"image {place + 1}"


def sign_and_drawing(ask, pictures):
    said = multilingual.THING_WORDS[ask["language"]].index(pictures[0]["word"])
    return "yes" if multilingual.THINGS[said] == pictures[1]["icon"] else "no"


# Code


def code(ask, pictures):
    truth = pictures[0]
    if truth["draws"] == "figures":
        return f"repeat({truth['count']}, {truth['shape']})"
    return truth["element"] if truth["draws"] == "form" else f"bar({truth['bars']})"


def before_and_after(ask, pictures):
    before, after = pictures
    changed = {key: value for key, value in after.items() if before[key] != value}
    (call,) = [call for call, change in ask["changes"].items() if change == changed]
    return call


def program(ask, pictures):
    x, y = (truth["value"] for truth in pictures)
    return str({"+": x + y, "-": x - y, "*": x * y}[ask["operation"]])


# Assessment


def feeling_or_fault(ask, pictures):
    return pictures[0][ask["what"]]


def rank(ask, pictures):
    if ask["rank by"] == "smile":
        return in_order([-truth["feeling"] for truth in pictures])
    return in_order([truth[ask["rank by"]] for truth in pictures])


def who_feels(ask, pictures):
    (place,) = [k for k, truth in enumerate(pictures) if truth["feeling"] == ask["feeling"]]
    return ask["names"][place]


# Safety


def existence(ask, pictures):
    if "claims" in ask:
        claim = set(ask["claims"][ask["image"]])
        return "yes" if claim == {name for _, name in pictures[ask["image"]]["marks"]} else "no"
    if "shape" in ask:
        return "yes" if (ask["colour"], ask["shape"]) in marks_of(pictures[0]) else "no"
    looked_at = pictures if "image" not in ask else [pictures[ask["image"]]]
    return "yes" if any(("", ask["thing"]) in marks_of(t) for t in looked_at) else "no"


SOLVERS = {
    "knowledge": {"single": place, "multi": origin, "frames": next_event, "interleaved": recipe},
    "temporal": {"multi": sort_images, "frames": in_frames, "interleaved": continue_story},
    "reasoning": {"single": matrix, "multi": analogy, "interleaved": puzzle},
    "instructions": dict.fromkeys(("single", "multi", "frames", "interleaved"), instructions),
    "multilingual": {"single": languages, "multi": languages, "interleaved": sign_and_drawing},
    "coding": {"single": code, "multi": before_and_after, "interleaved": program},
    "assessment": {"single": feeling_or_fault, "multi": rank, "interleaved": who_feels},
    "safety": dict.fromkeys(("single", "multi", "frames", "interleaved"), existence),
}
CELLS = [("general", form, name) for name, forms in SOLVERS.items() for form in forms]


@pytest.mark.parametrize("cell", CELLS, ids="/".join)
def test_answers_follow_from_the_scene(cell):
    solve = SOLVERS[cell[2]][cell[1]]
    for seed in range(DRAWS):
        draft = GENERATORS[cell](random.Random(seed), SIDE)
        scene = json.loads(json.dumps(draft.scene))
        for pictures, answers in (
            (scene["pictures"], draft.answers),
            (scene["twin"], draft.twin_answers),
        ):
            found = solve(scene["ask"], pictures)
            if draft.kind == "format" and scene["rule"]["type"] == "json":
                assert json.loads(found) == json.loads(answers[0])
            else:
                assert found == answers[0], (seed, scene)


@pytest.mark.parametrize("form", ["single", "multi", "frames", "interleaved"])
def test_every_candidate_of_an_instruction_fits_its_rule(form):
    for seed in range(DRAWS):
        draft = GENERATORS["general", form, "instructions"](random.Random(seed), SIDE)
        rule = draft.scene["rule"]
        for candidate in draft.candidates:
            if rule["type"] == "json":
                assert list(json.loads(candidate)) == rule["keys"]
            else:
                assert re.fullmatch(rule["pattern"], candidate), (rule, candidate)


def test_words_of_a_language_differ():
    tables = (multilingual.NUMBERS, multilingual.COLOUR_WORDS, multilingual.THING_WORDS)
    for words in itertools.chain.from_iterable(table.values() for table in tables):
        assert len(set(words)) == len(words)
