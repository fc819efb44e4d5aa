"""What is measured of a small model that hears: which clips, which rows, and that they add up."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from toy import make_listener, make_model

from mllm.benchmarks.hear.ontology import Concept, Ontology
from mllm.benchmarks.hear.representation.measure import (
    NAME,
    levels_of,
    measure,
    representation,
    spread_layers,
)
from mllm.benchmarks.hear.representation.said_heard import chosen_clips
from mllm.benchmarks.hear.row import Clip
from mllm.data.conversation import audio
from mllm.evaluation.runner import LocalModel

TREE = Ontology(
    [
        Concept("animal"),
        Concept("thing"),
        Concept("bird", ("animal",)),
        Concept("insect", ("animal",)),
        Concept("engine", ("thing",)),
        Concept("owl", ("bird",), ("hooter",)),
        Concept("wren", ("bird",)),
        Concept("bee", ("insect",), ("bumbler",)),
        Concept("truck", ("engine",), ("lorry", "juggernaut")),
        Concept("plane", ("engine",)),
    ]
)
PITCH = {leaf: 200 * 2**place for place, leaf in enumerate(TREE.leaves)}


def clip(split: str, number: int, *tags: str) -> Clip:
    times = np.arange(8000) / 16_000
    sound = sum(np.sin(2 * np.pi * PITCH[tag] * times) for tag in tags) / 4
    noise = 0.01 * np.random.default_rng(number).normal(size=8000)
    file = io.BytesIO()
    soundfile.write(file, sound + noise, 16_000, format="WAV")
    name = f"{split}-{number}"
    return Clip(name, f"g{name}", split, tags, audio(file.getvalue()), 0.5, {}, "test", "CC0")


def clips(split: str) -> list[Clip]:
    """Three of each leaf but one, which is heard with others only; mixtures between them."""
    found = [("owl", "bee"), ("plane", "owl")]
    found += [(leaf,) for leaf in ("owl", "wren", "bee", "truck") for _ in range(3)]
    return [clip(split, number, *tags) for number, tags in enumerate(found)]


@pytest.fixture(scope="module")
def benchmark():
    return SimpleNamespace(ontology=TREE, clips=clips)


@pytest.fixture(scope="module")
def found(benchmark):
    return measure(benchmark, "test", 2, LocalModel(make_listener()))


def test_clips_have_one_tag_and_are_as_many_as_asked():
    chosen = chosen_clips(clips("test"), TREE, 2)
    assert [one.tags for one in chosen] == [(leaf,) for leaf in ("owl", "wren", "bee", "truck")
                                            for _ in range(2)]  # fmt: skip
    assert len(chosen_clips(clips("test"), TREE, 9)) == 12


def test_levels_are_those_of_the_tree():
    levels = levels_of(TREE, ["owl", "wren", "bee", "truck"])
    assert levels["leaf"]["owl"] == "owl" and levels["parent"]["bee"] == "insect"
    assert levels["grandparent"] == {"owl": "animal", "wren": "animal", "bee": "animal",
                                     "truck": "thing"}  # fmt: skip
    assert "grandparent" not in levels_of(TREE, ["owl", "wren", "bee"])
    assert spread_layers(31, 4) == [0, 10, 20, 30] and spread_layers(3, 13) == [0, 1, 2]


@pytest.mark.thorough
def test_everything_is_measured_at_every_layer(found):
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["layers"] == [0, 1, 2] and found["leaves"] == ["owl", "wren", "bee", "truck"]
    asked = {(row["learned"], row["asked"]): row["n"] for row in found["probes"]}
    assert asked == {
        ("text", "words"): 4,
        ("text", "synonyms"): 4,
        ("text", "sounds"): 8,
        ("sounds", "sounds"): 8,
        ("sounds", "words"): 4,
    }
    assert len(found["probes"]) == 3 * 2 * 3 * (5 + 2)
    assert all(0 <= row["accuracy"] <= 1 for row in found["probes"])
    assert [(row["place"], row["layer"]) for row in found["alignment"]] == [
        (place, layer) for place in ("concept", "reply") for layer in (0, 1, 2)
    ]
    assert len(found["plane"]) == 2 * 3 * 4
    assert {row["leaf"]: row["kind"] for row in found["plane"]} == {
        "owl": "animal", "wren": "animal", "bee": "animal", "truck": "thing"
    }  # fmt: skip


@pytest.mark.thorough
def test_pitches_are_told_apart_from_states_of_sounds(found):
    """Random weights keep what differs so clearly. A name is the same tokens in every wording, and
    before any layer the last token knows nothing.
    """
    rows = {(row["level"], row["place"], row["layer"], row["learned"], row["asked"]): row
            for row in found["probes"] if row["scaling"] == "shared"}  # fmt: skip
    assert rows["leaf", "concept", 0, "sounds", "sounds"]["accuracy"] >= 0.75
    assert rows["leaf", "concept", 0, "text", "words"]["accuracy"] == 1
    for kind, other in (("text", "words"), ("sounds", "sounds")):
        assert rows["leaf", "reply", 0, kind, other]["accuracy"] == 0.25


@pytest.mark.thorough
def test_nearest_words_are_counted(found):
    assert [row["leaf"] for row in found["words"]] == found["leaves"]
    for row in found["words"]:
        shares = [share for _, share in row["words"]]
        assert all(word for word, _ in row["words"]) and row["n"] > 0
        assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1 + 1e-9
        assert 0 <= row["named"] <= 1 and 0 <= row["others"] <= 1


def test_a_model_that_hears_nothing_has_no_rows(benchmark):
    one = representation(benchmark, "test", 2)
    found = one.measure(LocalModel(make_model()))
    assert one.name == NAME and one.options["clips"] == 2
    assert found["leaves"] == found["probes"] == found["alignment"] == found["words"] == []
