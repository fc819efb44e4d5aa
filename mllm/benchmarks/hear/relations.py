"""Yes-or-no questions about how terms are related to what is heard, with matched negatives.

A question asks whether a clip is the sound of a term. Each clip gets two of a relation: one whose
term is right, and one whose term is taken from another clip and wrong.

    relation      the right term           the wrong term
    label         the label                the label of any clip of which it is wrong
    synonym       a synonym of the label   a synonym of another label
    parent        a parent of the label    a parent of another label
    grandparent   a grandparent            a grandparent of another label
    sibling       the label                a leaf that shares a parent with the label
    unrelated     the label                a leaf that shares no ancestor with the label

The wrong terms are a permutation of the right ones. Within a relation every term is therefore right
exactly as often as it is wrong, and whoever reads only the question is right half of the time.
Clips beyond ``TOGETHER`` are dealt into lots that are permuted by themselves, so memory grows with
their number and not with its square.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mllm.benchmarks.hear.entries import Entry, heard
from mllm.benchmarks.hear.ontology import Ontology
from mllm.registry import lookup

RELATIONS = ("label", "synonym", "parent", "grandparent", "sibling", "unrelated")
TOGETHER = 2048  # clips among which wrong terms are exchanged
WORDS: dict[str, Callable[[Ontology, str], tuple[str, ...]]] = {
    "synonym": Ontology.synonyms,
    "parent": Ontology.parents,
    "grandparent": Ontology.grandparents,
}
NEAR: dict[str, Callable[[Ontology, str], tuple[str, ...]]] = {
    "sibling": Ontology.siblings,
    "unrelated": Ontology.unrelated,
}


Asked = tuple[Entry, str, str]  # a clip, its right term, and what that means


@dataclass(frozen=True)
class Probe:
    """A question about a clip.

    Attributes:
      relation: of ``RELATIONS``.
      clip: that is asked about.
      term: the word that is asked for. concept: what it means.
      yes: the right answer.
      other: the clip that is played instead in condition R. The right answer is then the opposite:
        it is the clip that the wrong term was taken from.
    """

    relation: str
    clip: Entry
    term: str
    concept: str
    yes: bool
    other: Entry


def probes_of(
    entries: Sequence[Entry],
    ontology: Ontology,
    relations: Sequence[str] = RELATIONS,
    *,
    seed: int = 0,
) -> list[Probe]:
    """Return the questions about clips, two of each relation; the same for the same seed.

    A clip whose label has no such term, or for which no wrong term is left, has none of a relation.

    Args:
      entries: clips with a label, in any number for each label.

    Raises:
      ValueError: an unknown relation.
    """
    found: list[Probe] = []
    for relation in relations:
        number = RELATIONS.index(lookup({name: name for name in RELATIONS}, relation, "relation"))
        rng = np.random.default_rng([seed, number])
        for lot in _lots(_asked(entries, ontology, relation), rng):
            found += _probes(lot, ontology, relation, rng)
    return found


def _lots(asked: list[Asked], rng: np.random.Generator) -> list[list[Asked]]:
    """Return what is asked of clips in lots of at most ``TOGETHER``, drawn if there are several."""
    if len(asked) <= TOGETHER:
        return [asked]
    order = rng.permutation(len(asked))
    count = -(-len(asked) // TOGETHER)
    return [[asked[place] for place in places] for places in np.array_split(order, count)]


def _probes(
    asked: list[Asked], ontology: Ontology, relation: str, rng: np.random.Generator
) -> list[Probe]:
    """Return the questions of a relation about clips whose wrong terms are exchanged."""
    allowed = _allowed([clip for clip, _, _ in asked], [c for *_, c in asked], ontology)
    if relation in NEAR:
        labels = [clip.label for clip, _, _ in asked]
        near = {label: frozenset(NEAR[relation](ontology, label)) for label in {*labels}}
        allowed &= np.array([[b in near[a] for b in labels] for a in labels], bool)
    found = []
    for (clip, term, concept), place in zip(asked, exchanged(allowed, rng), strict=True):
        other, wrong, meaning = asked[place]
        if other.id != clip.id:
            found.append(Probe(relation, clip, term, concept, True, other))
            found.append(Probe(relation, clip, wrong, meaning, False, other))
    return found


def _asked(entries: Sequence[Entry], ontology: Ontology, relation: str) -> list[Asked]:
    """Return the clips that have a right term, the term, and what it means.

    Where a label has several, its clips take them in turn.
    """
    found, counts = [], Counter()
    for entry in entries:
        terms = WORDS[relation](ontology, entry.label) if relation in WORDS else (entry.label,)
        if terms:
            term = terms[counts[entry.label] % len(terms)]
            counts[entry.label] += 1
            meaning = entry.label if relation == "synonym" else term
            found.append((entry, term, meaning))
    return found


def _allowed(entries: Sequence[Entry], concepts: Sequence[str], ontology: Ontology) -> np.ndarray:
    """Return bool[N, N]: whether the concepts of two clips are both false of the other one.

    What is less specific than a concept leaves it open: of a clip that is only tagged "bird",
    "grouse" is neither true nor false.
    """
    above = {concept: frozenset(ontology.ancestors(concept)) for concept in {*concepts}}
    known: dict[tuple[str, ...], dict[str, bool]] = {}
    for entry in entries:
        if entry.tags not in known:
            true = heard(entry.tags, ontology)
            known[entry.tags] = {
                concept: concept not in true and not above[concept] & {*entry.tags}
                for concept in above
            }
    false = np.array([[known[e.tags][c] for c in concepts] for e in entries], bool)
    return false & false.T if len(entries) else np.zeros((0, 0), bool)


def exchanged(allowed: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Return a permutation in which as many places as possible go to an allowed other place.

    A place that goes to itself is left out; the others are exchanged among themselves.

    Args:
      allowed: bool[N, N]. rng: decides between permutations that leave out equally many.
    """
    count = len(allowed)
    costs = np.where(allowed, rng.random((count, count)), np.inf)
    np.fill_diagonal(costs, count + 1.0)  # dearer than any number of exchanges
    return linear_sum_assignment(costs)[1].tolist()
