"""Right and wrong terms of sounds, from which questions to learn from are made."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from mllm.benchmarks.hear.ontology import Ontology

# By the name of a relation, the right terms of a concept.
RIGHT: dict[str, Callable[[Ontology, str], tuple[str, ...]]] = {
    "label": lambda ontology, name: (name,),
    "synonym": Ontology.synonyms,
    "parent": Ontology.parents,
    "grandparent": Ontology.grandparents,
}
KINDS = ("parent", "grandparent")  # relations of a concept to what it is a kind of
NEAR = 0.5  # share of the wrong terms that are those of a sibling


class Terms:
    """The terms of an ontology, in pairs of a right and a wrong one."""

    def __init__(self, ontology: Ontology):
        self._ontology = ontology
        self._possible = lru_cache(None)(self._find_possible)

    def possible(self, tags: Sequence[str]) -> frozenset[str]:
        """Return all terms that are not wrong of a sound with some tags: names and synonyms of the
        tags, of what they are kinds of, and of their own kinds, which the tags leave open.
        """
        return self._possible(tuple(tags))

    def pair(
        self, relation: str, name: str, tags: Sequence[str], rng: np.random.Generator
    ) -> tuple[str, str] | None:
        """Draw a right and a wrong term of a relation.

        The wrong one is the right term of a leaf in the same relation; in ``NEAR`` of the draws of
        a sibling, if one has such a term. None if there is no right or no wrong term.

        Args:
          relation: a key of ``RIGHT``. name: the concept whose term is right.
          tags: of the sound, of all of which the wrong term must be wrong.
        """
        of, ontology = RIGHT[relation], self._ontology
        right, possible = of(ontology, name), self.possible((name, *tags))
        near = ontology.siblings(name) if rng.random() < NEAR else ()
        for others in (near, ontology.leaves):
            wrong = [term for leaf in others for term in of(ontology, leaf) if term not in possible]
            if right and wrong:
                return str(rng.choice(right)), str(rng.choice(wrong))
        return None

    def _find_possible(self, tags: tuple[str, ...]) -> frozenset[str]:
        ontology = self._ontology
        concepts = [
            name
            for name in ontology
            if any(ontology.kind_of(tag, name) or ontology.kind_of(name, tag) for tag in tags)
        ]
        return frozenset(term for n in concepts for term in (n, *ontology.synonyms(n)))
