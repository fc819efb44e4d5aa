"""Probes and alignment across text and sound, on states whose geometry is known."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from mllm.benchmarks.hear.representation.plane import plane_rows
from mllm.benchmarks.hear.representation.said_heard import States
from mllm.benchmarks.hear.representation.transfer import alignment_rows, probe_rows

LEAVES = [f"leaf {number}" for number in range(12)]
PARENTS = {leaf: f"parent {number // 3}" for number, leaf in enumerate(LEAVES)}
WIDTH, EACH = 16, 8
CENTRES = 3 * np.random.default_rng(0).normal(size=(len(LEAVES), WIDTH))
TURN = ortho_group.rvs(WIDTH, random_state=0)


def states(seed: int, layers) -> States:
    """States of every leaf around what each layer makes of its centre, alike at both places."""
    generator, names = np.random.default_rng(seed), [leaf for leaf in LEAVES for _ in range(EACH)]
    values = [
        np.repeat(layer(CENTRES), EACH, 0) + 0.3 * generator.normal(size=(len(names), WIDTH))
        for layer in layers
    ]
    stacked = np.stack(values, axis=1)[:, None].repeat(2, axis=1)
    return States(tuple(names), tuple(f"group {n}" for n in range(len(names))), stacked)


# The layers of sounds: as in text, moved, turned, and nothing to do with it.
LAYERS = (
    lambda c: c,
    lambda c: 2 * c + 50,
    lambda c: c @ TURN,
    lambda c: np.random.default_rng(9).normal(size=c.shape),
)
SAME, MOVED, TURNED, UNRELATED = range(4)


@pytest.fixture(scope="module")
def kinds():
    text = (LAYERS[0],) * 4
    return {
        "text": (states(1, text), states(2, text)),
        "sounds": (states(3, LAYERS), states(4, LAYERS)),
    }


@pytest.fixture(scope="module")
def rows(kinds):
    learned = {kind: pair[0] for kind, pair in kinds.items()}
    asked = {"words": kinds["text"][1], "sounds": kinds["sounds"][1]}
    levels = {"leaf": {leaf: leaf for leaf in LEAVES}, "parent": PARENTS}
    found = probe_rows(learned, asked, levels, range(4))
    return {
        tuple(row[key] for key in ("level", "place", "layer", "learned", "asked", "scaling")): row
        for row in found
    }


def test_there_is_a_row_for_everything_that_is_asked(rows):
    # Within a kind one scaling, across kinds two.
    assert len(rows) == 2 * 2 * 4 * (2 + 4)
    assert all(row["n"] == len(LEAVES) * EACH for row in rows.values())
    chances = {row["level"]: row["chance"] for row in rows.values()}
    assert chances == {"leaf": 1 / 12, "parent": 1 / 4}


@pytest.mark.parametrize("level", ["leaf", "parent"])
def test_within_a_kind_probes_are_right(rows, level):
    for layer in (SAME, MOVED, TURNED):
        for kind, other in (("text", "words"), ("sounds", "sounds")):
            row = rows[level, "concept", layer, kind, other, "shared"]
            assert row["accuracy"] > 0.97 and row["low"] <= row["accuracy"] <= row["high"]


@pytest.mark.parametrize(("kind", "other"), [("text", "sounds"), ("sounds", "words")])
def test_across_kinds_it_depends_on_the_geometry(rows, kind, other):
    def accuracy(layer, scaling):
        return rows["leaf", "concept", layer, kind, other, scaling]["accuracy"]

    assert accuracy(SAME, "shared") > 0.97
    assert accuracy(MOVED, "shared") < 0.3 and accuracy(MOVED, "own") > 0.97
    assert max(accuracy(TURNED, "shared"), accuracy(TURNED, "own")) < 0.5
    assert accuracy(UNRELATED, "own") < 0.5


def test_alignment_sees_a_turn_as_the_same(kinds):
    found = alignment_rows(kinds["text"][1], kinds["sounds"][1], range(4))
    by_layer = {row["layer"]: row for row in found if row["place"] == "reply"}
    assert len(found) == 8 and all(row["n"] == len(LEAVES) for row in found)
    for layer in (SAME, MOVED, TURNED):
        assert by_layer[layer]["cka"] > 0.95 > by_layer[layer]["shuffled_high"]
    assert by_layer[UNRELATED]["cka"] < by_layer[UNRELATED]["shuffled_high"] + 0.2
    assert abs(by_layer[SAME]["shuffled"]) < 0.1


def test_leaves_that_one_kind_lacks_are_left_out(kinds):
    some = kinds["text"][1].select(range(5 * EACH))
    rows = alignment_rows(some, kinds["sounds"][1], [0])
    assert [row["n"] for row in rows] == [5, 5]


def test_points_of_the_plane(kinds):
    """A shift and a scale are taken away; a turn is not."""
    rows = plane_rows(kinds["text"][1], kinds["sounds"][1], [MOVED, TURNED], PARENTS)
    assert len(rows) == 2 * 2 * len(LEAVES)
    apart = {
        layer: np.mean([np.linalg.norm(np.subtract(row["text"], row["sound"])) for row in rows
                        if row["layer"] == layer])
        for layer in (MOVED, TURNED)
    }  # fmt: skip
    assert apart[MOVED] < 0.1 < 0.3 < apart[TURNED]
    assert all(row["kind"] == PARENTS[row["leaf"]] for row in rows)
    share = {row["share"] for row in rows if row["layer"] == MOVED and row["place"] == "concept"}
    means = CENTRES - CENTRES.mean(0)
    sizes = np.linalg.svd(means, compute_uv=False) ** 2
    assert len(share) == 1 and abs(share.pop() - sizes[:2].sum() / sizes.sum()) < 0.05
