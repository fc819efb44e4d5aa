"""Which concepts a text names, word for word: the transparent scorer of captions."""

from collections.abc import Iterable, Sequence
from functools import cache

from mllm.benchmarks.hear.ontology import Ontology
from mllm.evaluation.parsing import normalise

Stems = tuple[str, ...]


class Mentions:
    """Finds the names and synonyms of concepts in texts, in any grammatical number.

    Words are compared by their stems (Porter). Where names overlap the longest counts, and no word
    counts twice: "car alarm" names no car.
    """

    def __init__(self, ontology: Ontology, names: Iterable[str] | None = None):
        """List the words of concepts.

        Args:
          names: of the concepts that are looked for; all of them where None.
        """
        self._concepts: dict[Stems, str] = {}
        for name in ontology if names is None else names:
            for word in (name, *ontology.synonyms(name)):
                self._concepts.setdefault(stems(word), name)
        self._longest = max(map(len, self._concepts), default=0)

    def of(self, text: str) -> list[str]:
        """Return the concepts that a text names, each once, in the order of the text."""
        words, found, at = stems(text), [], 0
        while at < len(words):
            length = self._length(words[at : at + self._longest])
            if length:
                found.append(self._concepts[words[at : at + length]])
            at += max(length, 1)
        return list(dict.fromkeys(found))

    def _length(self, words: Stems) -> int:
        """Return how many of the first words are the longest name that begins here; 0 for none."""
        lengths = range(len(words), 0, -1)
        return next((length for length in lengths if words[:length] in self._concepts), 0)


def stems(text: str) -> Stems:
    """Return the stems of the words of a text."""
    return tuple(map(_stem, normalise(text.replace("-", " ")).split()))


@cache
def _stem(word: str) -> str:
    from nltk.stem import PorterStemmer  # only here: it takes seconds to import

    return PorterStemmer().stem(word)


def shares(mentioned: Sequence[str], classes: Sequence[str]) -> dict[str, float]:
    """Return 1 for each class that is mentioned, 0 for the others."""
    return {name: float(name in mentioned) for name in classes}
