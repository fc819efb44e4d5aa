"""Kinds of sounds: a tree, or a graph in which a kind may belong to several others.

A concept is a kind of each of its parents. Leaves are the concepts that nothing is a kind of.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from mllm.benchmarks.hear.concept import Concept, concept_of
from mllm.files import read_text, write_text
from mllm.registry import lookup

__all__ = ["Concept", "Ontology"]


class Ontology:
    """Concepts and how they are related; it does not change. Names keep the order of the concepts.

    Every method takes the name of a concept and raises ValueError, with the nearest match, for one
    that is not there.
    """

    def __init__(self, concepts: Iterable[Concept]):
        """Take the concepts.

        Raises:
          ValueError: a name is empty or there twice, a synonym means two concepts, a parent is not
            there, or a concept is a kind of itself; the message names the concept.
        """
        self._concepts: dict[str, Concept] = {}
        for concept in concepts:
            if not concept.name.strip():
                raise ValueError(f"concept {concept}: name is empty, expected a word")
            if concept.name in self._concepts:
                raise ValueError(f"concept {concept.name!r} is there twice; name each concept once")
            self._concepts[concept.name] = concept
        self._check_synonyms()
        self._children: dict[str, list[str]] = {name: [] for name in self._concepts}
        for name, concept in self._concepts.items():
            for parent in concept.parents:
                lookup(self._children, parent, f"parent of concept {name!r}").append(name)
        self._check_cycles()

    def __getitem__(self, name: str) -> Concept:
        return lookup(self._concepts, name, "concept")

    def __contains__(self, name: object) -> bool:
        return name in self._concepts

    def __iter__(self) -> Iterator[str]:
        return iter(self._concepts)

    def __len__(self) -> int:
        return len(self._concepts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ontology) and self._concepts == other._concepts

    __hash__ = None

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """Concepts without children."""
        return tuple(name for name in self._concepts if not self._children[name])

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Concepts without parents."""
        return tuple(name for name, concept in self._concepts.items() if not concept.parents)

    def parents(self, name: str) -> tuple[str, ...]:
        """Return what a concept is directly a kind of."""
        return self[name].parents

    def children(self, name: str) -> tuple[str, ...]:
        """Return the direct kinds of a concept."""
        return tuple(lookup(self._children, name, "concept"))

    def grandparents(self, name: str) -> tuple[str, ...]:
        """Return the parents of the parents, but none that is a parent too."""
        above = [upper for parent in self.parents(name) for upper in self.parents(parent)]
        return tuple(one for one in dict.fromkeys(above) if one not in self.parents(name))

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return all that a concept is a kind of, the nearest first; not the concept itself."""
        found: dict[str, None] = {}
        level = self.parents(name)
        while level:
            found.update(dict.fromkeys(level))
            level = [upper for one in level for upper in self.parents(one) if upper not in found]
        return tuple(found)

    def siblings(self, name: str) -> tuple[str, ...]:
        """Return the other leaves that share a parent with a concept."""
        mine = set(self.parents(name))
        return tuple(
            leaf for leaf in self.leaves if leaf != name and mine & set(self.parents(leaf))
        )

    def synonyms(self, name: str) -> tuple[str, ...]:
        """Return the other words for a concept."""
        return self[name].synonyms

    def unrelated(self, name: str) -> tuple[str, ...]:
        """Return the leaves that share no ancestor with a concept, except what all leaves are."""
        mine = {name, *self.ancestors(name)} - self._common
        return tuple(leaf for leaf in self.leaves if not mine & {leaf, *self.ancestors(leaf)})

    def kind_of(self, name: str, other: str) -> bool:
        """Return whether a concept is the other one or a kind of it."""
        return self[other].name in (name, *self.ancestors(name))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the concepts as JSON objects."""
        return [asdict(concept) for concept in self._concepts.values()]

    @classmethod
    def from_json(cls, value: Any, where: str = "ontology") -> "Ontology":
        """Return the ontology of what `to_json` returned; only the name of a concept is required.

        Raises:
          ValueError: it is something else; the message starts with ``where``.
        """
        if not isinstance(value, list):
            raise ValueError(f"{where}: found {type(value).__name__}, expected a list of objects")
        try:
            return cls(concept_of(one, f"entry {number}") for number, one in enumerate(value, 1))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None

    @classmethod
    def read(cls, path: Path) -> "Ontology":
        """Read a file that `write` wrote.

        Raises:
          FileNotFoundError, ValueError: it is missing or holds something else.
        """
        text = read_text(path)
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error})") from None
        return cls.from_json(value, str(path))

    def write(self, path: Path) -> None:
        """Write the concepts as JSON, one a line."""
        lines = (json.dumps(one, ensure_ascii=False) for one in self.to_json())
        write_text(path, "[\n" + ",\n".join(lines) + "\n]\n")

    @cached_property
    def _common(self) -> set[str]:
        lines = [{leaf, *self.ancestors(leaf)} for leaf in self.leaves]
        return set.intersection(*lines) if len(lines) > 1 else set()

    def _check_synonyms(self) -> None:
        owners = {name.casefold(): name for name in self._concepts}
        for name, concept in self._concepts.items():
            for word in concept.synonyms:
                owner = owners.setdefault(word.casefold(), name)
                if not word.strip() or owner != name or word == name:
                    raise ValueError(
                        f"concept {name!r}: synonym {word!r} is empty or also means {owner!r}; "
                        "every word may stand for one concept only"
                    )

    def _check_cycles(self) -> None:
        graph = {name: concept.parents for name, concept in self._concepts.items()}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            path = " → ".join(reversed(error.args[1]))
            raise ValueError(f"concepts are kinds of themselves: {path}; remove a parent") from None
