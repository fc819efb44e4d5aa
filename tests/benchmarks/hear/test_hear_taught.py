"""What models are taught is true, balanced, and keeps synonyms and kinds to the text."""

from collections import Counter

import numpy as np
import pytest

from mllm.benchmarks.hear.facts import TOLD, Told
from mllm.benchmarks.hear.ontology import Concept, Ontology
from mllm.benchmarks.hear.prompts import CAPTION, CLASSIFY
from mllm.benchmarks.hear.row import Clip
from mllm.benchmarks.hear.taught import HEARD, Heard, lessons
from mllm.benchmarks.hear.terms import RIGHT, Terms
from mllm.data.conversation import audio

TREE = Ontology(
    [
        Concept("animal"),
        Concept("thing", synonyms=("object",)),
        Concept("bird", ("animal",), ("fowl",)),
        Concept("insect", ("animal",)),
        Concept("tool", ("thing",)),
        Concept("grouse", ("bird",), ("ptarmigan",)),
        Concept("owl", ("bird",), ("hooter",)),
        Concept("bee", ("insect",)),
        Concept("saw", ("tool",), ("cutter",)),
    ]
)
# What is true of each leaf, by hand.
TRUE = {
    "grouse": {"grouse", "ptarmigan", "bird", "fowl", "animal"},
    "owl": {"owl", "hooter", "bird", "fowl", "animal"},
    "bee": {"bee", "insect", "animal"},
    "saw": {"saw", "cutter", "tool", "thing", "object"},
}
LEAVES = set(TRUE)


class Clips:
    """A benchmark of a few clips whose sounds are never decoded."""

    ontology = TREE

    def clips(self, split: str) -> list[Clip]:
        assert split == "train"
        tags = [("grouse",), ("owl", "saw"), ("bee",), ("saw",)]
        return [
            Clip(f"c{n}", f"g{n}", split, names, audio(bytes([n])), 1.0, {}, "", "")
            for n, names in enumerate(tags)
        ]


def between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]


def leaves_in(caption: str) -> set[str]:
    """The leaves that a caption names."""
    return {leaf for leaf in LEAVES if leaf in caption.lower()}


def said(examples) -> list[tuple[str, str]]:
    """Question and answer of each conversation."""
    return [(example.turns[0].text, example.turns[-1].text) for example in examples]


@pytest.mark.parametrize("relation", RIGHT)
def test_a_pair_is_of_one_relation_and_only_one_of_it_is_true(relation):
    terms, drawn = Terms(TREE), Counter()
    words = {
        "label": {name: {name} for name in LEAVES},
        "synonym": {"grouse": {"ptarmigan"}, "owl": {"hooter"}, "saw": {"cutter"}, "bee": set()},
        "parent": {"grouse": {"bird"}, "owl": {"bird"}, "bee": {"insect"}, "saw": {"tool"}},
        "grandparent": {
            "grouse": {"animal"},
            "owl": {"animal"},
            "bee": {"animal"},
            "saw": {"thing"},
        },
    }[relation]
    for leaf in LEAVES:
        for seed in range(40):
            pair = terms.pair(relation, leaf, ("owl",), np.random.default_rng(seed))
            possible = set().union(*words.values()) - TRUE[leaf] - TRUE["owl"]
            if not words[leaf] or not possible:
                assert pair is None
                continue
            right, wrong = pair
            assert right in words[leaf] and wrong in possible
            drawn[leaf, wrong] += 1
    if relation == "label":
        assert set(drawn) == {(a, b) for a in LEAVES for b in LEAVES - {a, "owl"}}


def test_a_tag_that_is_no_leaf_leaves_its_kinds_open():
    for seed in range(30):
        pair = Terms(TREE).pair("label", "bird", (), np.random.default_rng(seed))
        assert pair[0] == "bird" and pair[1] in {"bee", "saw"}


@pytest.mark.parametrize("name", ["labelled", "described", "kinds"])
def test_questions_in_text_are_answered_by_the_tree(name):
    counts = Counter()
    for question, answer in said(Told(name, TREE, 30, seed=3)):
        if name == "kinds":
            first, term = (
                between(question, "Is ", " a kind of"),
                between(question, "a kind of ", "?"),
            )
            true = TRUE[first]
        else:
            evidence = "labelled: " if name == "labelled" else "described as: "
            heard = leaves_in(between(question, evidence, "Is this"))
            term, true = between(question, "the sound of ", "? Answer"), set()
            if name == "described":
                term = question.rpartition("Is this the sound of ")[2].partition("?")[0]
            true = set().union(*(TRUE[leaf] for leaf in heard))
            assert 1 <= len(heard) <= (2 if name == "described" else 1)
        assert answer == ("yes" if term in true else "no"), (question, answer)
        counts[answer] += 1
    assert counts["yes"] == counts["no"] > 200


def test_text_names_captions_and_classes():
    forms = Counter()
    for question, answer in said(Told("named", TREE, 10, seed=0)):
        kind = CAPTION if CAPTION in question else CLASSIFY
        evidence = leaves_in(question.replace(kind, ""))
        assert leaves_in(answer) <= evidence
        assert (answer in LEAVES) == (kind == CLASSIFY)
        forms["described" in question, kind] += 1
    assert len(forms) == 3 and len(set(forms.values())) == 1


def test_clips_are_named_by_their_leaves_alone():
    found = {name: list(Heard(name, Clips(), 40, seed=1)) for name in HEARD}
    tags = {clip.id: set(clip.tags) for clip in Clips().clips("train")}
    words = {word for true in TRUE.values() for word in true}
    for name, examples in found.items():
        answers = Counter()
        for example in examples:
            heard = tags[example.id.partition("/")[0]]
            assert [media.kind for turn in example.turns for media in turn.media] == ["audio"]
            question, answer = example.turns[0].text, example.turns[-1].text
            if name == "questions":
                term = between(question, "the sound of ", "?")
                assert term in LEAVES and answer == ("yes" if term in heard else "no")
            else:
                assert leaves_in(answer) == heard or answer in heard
            text = f"{question} {answer}".lower()
            assert not [word for word in words - LEAVES if f" {word}" in text]
            answers[answer] += 1
        if name == "questions":
            assert abs(answers["yes"] - answers["no"]) < 40  # of 160, three standard deviations
        else:
            assert len(answers) >= 4
    assert {example.cluster for example in found["captions"]} == {f"g{n}" for n in range(4)}


def test_draws_follow_the_seed():
    say = lambda seed: said(Told("described", TREE, 3, seed))  # noqa: E731
    assert say(0) == say(0) != say(1)
    first, other = (said(Heard("captions", Clips(), 3, seed)) for seed in (0, 1))
    assert first == said(Heard("captions", Clips(), 3, 0)) != other


def test_lessons_are_joined_and_unknown_ones_named():
    chosen = {"kinds": 1, "labelled": 0, "captions": 2, "classes": 0}
    found = lessons(chosen, Clips(), 0)
    assert len(found) == len(Told("kinds", TREE, 1, 0)) + 8
    assert len(lessons(dict.fromkeys(TOLD, 0), Clips(), 0)) == 0
    with pytest.raises(ValueError, match=r"unknown lesson 'caption'.*captions"):
        lessons({"caption": 1}, Clips(), 0)
