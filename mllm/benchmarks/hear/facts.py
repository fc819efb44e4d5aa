"""What models learn about sounds from text alone: which words mean a sound, and what it is a kind
of. The questions are those that are asked of sounds, with a label or a caption as evidence; no clip
is read.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.prompts import (
    CAPTION,
    CAPTIONS,
    CLASSIFY,
    LABEL_EVIDENCE,
    NO,
    YES,
    about_caption,
    caption_of,
    kind_question,
    relation_turns,
)
from mllm.benchmarks.hear.terms import KINDS, RIGHT, Terms
from mllm.data.conversation import Example, Turn, assistant, user
from mllm.data.source import Source

SECOND = 0.2  # share of captions that name a second sound

Said = tuple[Turn, ...]


class Told(Source[Example]):
    """Conversations about every leaf of an ontology, several times with other words each time.

    Conversations of one number are the same in every run of a seed.
    """

    def __init__(self, name: str, ontology: Ontology, times: int, seed: int):
        """List the conversations.

        Args:
          name: of ``TOLD``. times: how often each leaf comes.
        """
        self._name, terms = name, Terms(ontology)
        self._turns: list[Said] = []
        for time in range(times):
            for number, leaf in enumerate(ontology.leaves):
                rng = np.random.default_rng([seed, list(TOLD).index(name), time, number])
                self._turns += TOLD[name](terms, ontology, leaf, rng)

    def __len__(self) -> int:
        return len(self._turns)

    def read(self, number: int) -> Example:
        name = f"{self._name}/{number}"
        return Example(name, name, self._turns[number])


def answered(question: Sequence[Turn], yes: bool) -> Said:
    """Return a question with its answer."""
    return (*question, assistant(YES if yes else NO))


def labelled(terms: Terms, ontology: Ontology, leaf: str, rng) -> Iterator[Said]:
    """Yield questions about a sound whose label is given, two of each relation."""
    for relation in RIGHT:
        for term, yes in _both(terms.pair(relation, leaf, (), rng)):
            yield answered(relation_turns("T", term, label=leaf), yes)


def described(terms: Terms, ontology: Ontology, leaf: str, rng) -> Iterator[Said]:
    """Yield questions about a sound whose caption is given, two of each relation."""
    for relation in RIGHT:
        tags = drawn_tags(ontology, leaf, rng)
        for term, yes in _both(terms.pair(relation, leaf, tags, rng)):
            yield answered(relation_turns("C", term, caption=drawn_caption(tags, rng)), yes)


def kinds(terms: Terms, ontology: Ontology, leaf: str, rng) -> Iterator[Said]:
    """Yield questions whether a leaf is a kind of something, two for each level above it."""
    for relation in KINDS:
        for term, yes in _both(terms.pair(relation, leaf, (), rng)):
            yield answered((user(kind_question(leaf, term)),), yes)


def named(terms: Terms, ontology: Ontology, leaf: str, rng) -> Iterator[Said]:
    """Yield a caption of a sound whose label is given, and its class, from label and caption."""
    evidence, tags = LABEL_EVIDENCE.format(leaf), drawn_tags(ontology, leaf, rng)
    yield user(f"{evidence} {CAPTION}"), assistant(drawn_caption((leaf,), rng))
    yield user(f"{evidence} {CLASSIFY}"), assistant(leaf)
    yield *about_caption(drawn_caption(tags, rng), CLASSIFY), assistant(str(rng.choice(tags)))


def drawn_tags(ontology: Ontology, leaf: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Return the tags of a sound that holds a leaf, and another one at times, in any order."""
    other = str(rng.choice(ontology.leaves))
    if other == leaf or rng.random() >= SECOND:
        return (leaf,)
    return (leaf, other) if rng.random() < 0.5 else (other, leaf)


def drawn_caption(tags: Sequence[str], rng: np.random.Generator) -> str:
    """Return a caption in a wording that is drawn."""
    return caption_of(tags, int(rng.integers(len(CAPTIONS))))


def _both(pair: tuple[str, str] | None) -> tuple[tuple[str, bool], ...]:
    """Return (term, whether it is right) of a right and a wrong term, if there are any."""
    return () if pair is None else ((pair[0], True), (pair[1], False))


# By the name of a lesson, the conversations about one leaf.
TOLD = {"labelled": labelled, "described": described, "kinds": kinds, "named": named}
