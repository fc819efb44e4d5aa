"""Relation questions: what is right follows from the ontology, and words give nothing away."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from toy_clips import LEAVES, ONTOLOGY, toy_clip, toy_clips

from mllm.benchmarks.hear import relations
from mllm.benchmarks.hear.entries import balanced, entries_of
from mllm.benchmarks.hear.relations import RELATIONS, exchanged, probes_of

ENTRIES = entries_of(toy_clips("test", 6), ONTOLOGY)
PROBES = probes_of(ENTRIES, ONTOLOGY)


def reaches(tag, concept):
    """Say whether a concept is found by walking up from a tag, parent by parent."""
    return tag == concept or any(reaches(p, concept) for p in ONTOLOGY[tag].parents)


def meant(term):
    """Return the concept of a name or synonym."""
    return next(n for n in ONTOLOGY if term == n or term in ONTOLOGY[n].synonyms)


def test_what_is_right_is_what_a_walk_up_the_ontology_finds():
    assert {probe.relation for probe in PROBES} == set(RELATIONS)
    for probe in PROBES:
        assert probe.concept == meant(probe.term)
        assert probe.yes == any(reaches(tag, probe.concept) for tag in probe.clip.tags)
        # The label alone, which is all that the text conditions show, gives the same answer.
        assert probe.yes == reaches(probe.clip.label, probe.concept)


def test_the_sound_of_the_other_clip_turns_every_answer():
    for probe in PROBES:
        assert probe.yes != any(reaches(tag, probe.concept) for tag in probe.other.tags)


def test_each_term_is_right_as_often_as_it_is_wrong():
    for relation in RELATIONS:
        counts = Counter((p.term, p.yes) for p in PROBES if p.relation == relation)
        terms = {term for term, _ in counts}
        assert terms
        assert all(counts[term, True] == counts[term, False] for term in terms)


def test_each_clip_has_one_right_and_one_wrong_term_of_a_relation():
    counts = Counter((p.relation, p.clip.id, p.yes) for p in PROBES)
    assert set(counts.values()) == {1}
    for relation, id, yes in counts:
        assert (relation, id, not yes) in counts


def test_many_clips_are_dealt_into_lots(monkeypatch):
    monkeypatch.setattr(relations, "TOGETHER", 40)
    sizes, whole = [], relations.exchanged

    def noted(allowed, rng):
        sizes.append(len(allowed))
        return whole(allowed, rng)

    monkeypatch.setattr(relations, "exchanged", noted)
    probes = probes_of(ENTRIES, ONTOLOGY)
    assert max(sizes) <= 40 and len(sizes) == 2 * len(RELATIONS)
    assert probes == probes_of(ENTRIES, ONTOLOGY) != PROBES
    assert len(probes) > 0.9 * len(PROBES)
    counts = Counter((p.relation, p.term, p.yes) for p in probes)
    assert all(counts[r, term, True] == counts[r, term, False] for r, term, _ in counts)
    assert {*Counter((p.relation, p.clip.id, p.yes) for p in probes).values()} == {1}
    for probe in probes:
        assert probe.yes == any(reaches(tag, probe.concept) for tag in probe.clip.tags)


def test_terms_stand_in_the_relation_that_is_asked():
    for probe in PROBES:
        label = probe.clip.label
        above = {
            "synonym": ONTOLOGY[label].synonyms,
            "parent": ONTOLOGY[label].parents,
            "grandparent": [g for p in ONTOLOGY[label].parents for g in ONTOLOGY[p].parents],
        }
        if probe.yes:
            assert probe.term in above.get(probe.relation, (label,))
        elif probe.relation == "sibling":
            assert set(ONTOLOGY[probe.term].parents) & set(ONTOLOGY[label].parents)
        elif probe.relation == "unrelated":
            assert not any(reaches(label, n) and reaches(probe.term, n) for n in ONTOLOGY)


def test_every_clip_is_asked_about_where_a_wrong_term_is_left():
    asked = {r: {p.clip.label for p in PROBES if p.relation == r} for r in RELATIONS}
    assert asked["label"] == asked["parent"] | {"hum"} == set(LEAVES)
    assert asked["synonym"] == asked["grandparent"] == set(LEAVES) - {"hum"}
    assert "hum" not in asked["sibling"]  # it has no sibling


def test_synonyms_and_parents_are_asked_for_in_turn():
    terms = {p.term for p in PROBES if p.relation == "synonym" and p.clip.label == "owl" and p.yes}
    assert terms == {"hooter", "night bird"}
    terms = {p.term for p in PROBES if p.relation == "parent" and p.clip.label == "fog horn"}
    assert {"alarm", "vehicle"} <= terms


def test_the_seed_decides_which_terms_are_wrong_and_nothing_else():
    again, other = probes_of(ENTRIES, ONTOLOGY), probes_of(ENTRIES, ONTOLOGY, seed=1)
    assert again == PROBES != other
    first, second = (
        {(p.clip.id, p.relation): p.term for p in probes if p.yes} for probes in (PROBES, other)
    )
    assert all(first[name] == second[name] for name in first.keys() & second.keys())
    alone = probes_of(ENTRIES, ONTOLOGY, ["sibling"])
    assert alone == [p for p in PROBES if p.relation == "sibling"]


def test_a_less_specific_tag_leaves_its_kinds_open():
    clips = [
        toy_clip("test", 0, ("car", "bird")),  # some bird: grouse is neither right nor wrong
        toy_clip("test", 1, ("grouse",)),
        toy_clip("test", 2, ("bird", "owl", "bee")),
    ]
    entries = entries_of(clips, ONTOLOGY)
    assert [entry.tags for entry in entries] == [("car", "bird"), ("grouse",), ("owl", "bee")]
    assert [entry.label for entry in entries] == ["car", "grouse", "owl"]
    asked = {(p.clip.label, p.term) for p in probes_of(entries, ONTOLOGY, ["label"])}
    assert not asked & {("car", "grouse"), ("car", "owl"), ("grouse", "car"), ("owl", "car")}
    assert {("grouse", "owl"), ("owl", "grouse")} <= asked


def test_clips_are_balanced_over_labels_and_those_without_a_leaf_are_left_out():
    clips = [*toy_clips("test", 3), toy_clip("test", 99, ("bird",))]
    chosen = balanced(entries_of(clips, ONTOLOGY), 2)
    assert Counter(entry.label for entry in chosen) == dict.fromkeys(LEAVES, 2)
    assert len(balanced(entries_of(clips, ONTOLOGY), 0)) == len(clips) - 1


@pytest.mark.parametrize("seed", range(12))
def test_exchanging_leaves_out_as_few_as_any_permutation(seed):
    rng = np.random.default_rng(seed)
    allowed = rng.random((6, 6)) < 0.3
    allowed &= allowed.T
    np.fill_diagonal(allowed, False)
    taken = exchanged(allowed, rng)
    assert sorted(taken) == list(range(6))
    assert all(allowed[a, b] for a, b in enumerate(taken) if a != b)
    possible = [
        sum(a == b for a, b in enumerate(order))
        for order in permutations(range(6))
        if all(a == b or allowed[a, b] for a, b in enumerate(order))
    ]
    assert sum(a == b for a, b in enumerate(taken)) == min(possible)


def test_an_unknown_relation_is_named():
    with pytest.raises(ValueError, match="parents"):
        probes_of(ENTRIES, ONTOLOGY, ["parents"])
    assert probes_of([], ONTOLOGY) == []
