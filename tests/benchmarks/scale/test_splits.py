"""Splits: any item by itself, the same for any number of processes, none twice."""

import itertools
from collections import Counter

import pytest

from mllm.benchmarks.scale import generate
from mllm.benchmarks.scale.generate import SPLITS, Sizes, Source, full_digest, make_item
from mllm.benchmarks.scale.generators import GENERATORS
from mllm.benchmarks.scale.generators.common import draft, paint_marks
from mllm.benchmarks.scale.item import content_digest

SIZES = Sizes(side=16, train=8, validation=3, test=5)
CELLS = (("general", "single", "counting"), ("general", "frames", "counting"))


def draw(processes=1, seed=0, sizes=SIZES, cells=CELLS):
    source = Source(sizes, seed, cells=cells, processes=processes)
    return source, {split: list(source.items(split)) for split in SPLITS}


@pytest.mark.thorough
def test_any_number_of_processes_draws_the_same_items():
    one, items = draw(processes=1)
    two, others = draw(processes=2)
    assert items == others
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != draw(seed=1)[0].fingerprint


def test_an_item_is_made_by_itself():
    source, items = draw()
    assert {split: len(rows) for split, rows in items.items()} == {
        "test": 10, "validation": 6, "train": 16,
    }  # fmt: skip
    for split in SPLITS:
        for item in items[split]:
            cell, number = (item.suite, item.format, item.capability), int(item.id[-5:])
            attempt = source.redrawn.get(item.id, 0)
            assert item == make_item(0, 16, split, cell, number, attempt)


def test_splits_are_read_in_their_order():
    source = Source(SIZES, 0, cells=CELLS, processes=1)
    with pytest.raises(ValueError, match="'train' is not due"):
        next(source.items("train"))


@pytest.fixture
def coarse(monkeypatch):
    """A cell whose generator knows twelve pictures only."""

    def generator(rng, side):
        sides = rng.sample(range(12), 2)
        truths = [
            {"background": "paper",
             "marks": [{"shape": "square", "colour": "red", "x": 50, "y": 8 * k, "size": 30}]}
            for k in sides
        ]  # fmt: skip
        return draft(
            paint_marks, side, {}, truths[:1], truths[1:], tuple(map(str, sides)),
            questions=("a", "b", "c"), kind="number", candidates=tuple(map(str, range(12))),
        )  # fmt: skip

    monkeypatch.setitem(generate.GENERATORS, CELLS[0], generator)
    return CELLS[:1]


def test_an_item_that_repeats_another_is_drawn_anew(coarse):
    source, items = draw(sizes=Sizes(side=16, train=5, validation=2, test=3), cells=coarse)
    digests = [content_digest(item) for item in itertools.chain(*items.values())]
    assert len(digests) == 10 and max(Counter(digests).values()) == 1
    assert source.redrawn
    for item in itertools.chain(*items.values()):
        again = make_item(
            0, 16, item.id.split("/")[0], coarse[0], int(item.id[-5:]),
            source.redrawn.get(item.id, 0),
        )  # fmt: skip
        assert again == item


def test_a_generator_of_too_few_items_is_named(coarse):
    sizes = Sizes(side=16, train=10, validation=2, test=3)
    with pytest.raises(ValueError, match=r"general/single/counting has too few different items"):
        draw(sizes=sizes, cells=coarse)


def test_digests_count_what_they_say():
    item = make_item(0, 16, "test", ("general", "single", "recognition"), 0)
    other = make_item(0, 16, "test", ("general", "single", "recognition"), 1)
    assert content_digest(item) != content_digest(other)
    assert full_digest(item) != full_digest(other)
    fields = vars(item)
    moved = type(item)(**fields | {"id": "train/elsewhere", "options": item.options[::-1]})
    assert content_digest(moved) == content_digest(item)
    assert full_digest(moved) != full_digest(item)


@pytest.mark.thorough
@pytest.mark.parametrize("cell", GENERATORS, ids="/".join)
def test_splits_of_every_cell_share_no_item(cell):
    _, items = draw(sizes=Sizes(side=64, train=12, validation=3, test=5), cells=(cell,))
    digests = [content_digest(item) for item in itertools.chain(*items.values())]
    assert len(set(digests)) == 20


def test_splits_of_a_cell_share_no_item():
    _, items = draw(sizes=Sizes(side=16, train=40, validation=10, test=20), cells=CELLS[1:])
    digests = [content_digest(item) for item in itertools.chain(*items.values())]
    assert len(set(digests)) == 70
