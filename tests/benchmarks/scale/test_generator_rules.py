"""What holds for the items of every cell."""

import random
from collections import Counter

import pytest
from PIL import ImageFont

from mllm.benchmarks.scale import draw
from mllm.benchmarks.scale.generators import GENERATORS, multilingual
from mllm.benchmarks.scale.item import from_row, place, to_row, validate
from mllm.benchmarks.scale.taxonomy import CELLS

PICTURES = {"single": (1, 1), "multi": (2, 4), "frames": (4, 4), "interleaved": (2, 4)}
each_cell = pytest.mark.parametrize("cell", GENERATORS, ids="/".join)


def drafts(cell, count, side=16):
    return [GENERATORS[cell](random.Random(f"{cell}{seed}"), side) for seed in range(count)]


def test_every_cell_has_a_generator():
    assert tuple(GENERATORS) == CELLS


@each_cell
def test_items_keep_the_schema(cell):
    suite, form, capability = cell
    fewest, most = PICTURES[form]
    for number, draft in enumerate(drafts(cell, 10)):
        where = f"test/{'/'.join(cell)}/{number}"
        item = place(draft, id=where, suite=suite, format=form, capability=capability)
        validate(item)
        assert from_row(to_row(item)).scene.keys() == item.scene.keys()
        assert fewest <= len(item.pictures) <= most
        assert bool(item.times) == (form == "frames")
        assert any(isinstance(part, str) for part in item.layout) == (form == "interleaved")
        assert all(len(question.split()) <= 20 for question in item.questions)
        assert item.objects


@each_cell
def test_another_picture_changes_the_answer(cell):
    for draft in drafts(cell, 20):
        assert draft.twin_answers != draft.answers
        assert draft.twin_pictures != draft.pictures


@each_cell
def test_the_same_seed_gives_the_same_bytes(cell):
    assert drafts(cell, 3, 64) == drafts(cell, 3, 64)


@pytest.mark.thorough
@each_cell
def test_no_candidate_is_likelier_than_another(cell):
    """Each candidate is gold as often as a uniform draw makes it, within five deviations.

    Candidates are counted by their text, by their place and by their text under a question.
    """
    expected, variance, found = Counter(), Counter(), Counter()
    for draft in drafts(cell, 200, side=4):
        chance = 1 / len(draft.candidates)
        for number, candidate in enumerate(draft.candidates):
            for key in (number, candidate, (candidate, draft.questions[0], draft.layout)):
                expected[key] += chance
                variance[key] += chance * (1 - chance)
                found[key] += candidate == draft.answers[0]
    for key in expected:
        assert abs(found[key] - expected[key]) <= 5 * variance[key] ** 0.5 + 1, key


def test_the_fonts_hold_every_letter_of_a_sign():
    font = ImageFont.truetype(draw._font("bold", 20).path, 20)
    missing = bytes(font.getmask("\uffff"))
    tables = (multilingual.NUMBERS, multilingual.THING_WORDS)
    letters = {letter for table in tables for row in table.values() for letter in "".join(row)}
    assert [letter for letter in letters if bytes(font.getmask(letter)) == missing] == []
