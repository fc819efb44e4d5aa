"""What a critique says of a photograph's record, found by rules.

A statement of the record counts as made where one sentence of the critique holds all of its content
words, in any order. Other sentences may stand around it, but a synonym is missed, so it is a lower
bound; what the rule accepts from a critique of any other photograph is measured by the record of a
wrong photograph.
"""

import re
from collections.abc import Mapping, Sequence

from mllm.evaluation.parsing import normalise

_SENTENCE = re.compile(r"[.!?;]+(?=\s|$)|\n+")
# Words that carry no content of their own; numbers, degrees and negations stay.
_FUNCTION = frozenset((
    "a", "an", "the", "this", "that", "these", "those", "it", "its", "is", "are", "was", "were",
    "be", "been", "being", "has", "have", "had", "do", "does", "did", "of", "in", "on", "at",
    "by", "to", "from", "for", "with", "as", "and", "or", "but", "so", "than", "then", "there",
    "here", "which", "who", "whom", "whose", "i", "you", "he", "she", "we", "they", "my",
    "your", "his", "her", "our", "their", "photo", "photograph", "picture", "image",
))  # fmt: skip


def content_words(text: str) -> frozenset[str]:
    """Return the words of a text that carry content, as ``normalise`` writes them."""
    return frozenset(normalise(text).split()) - _FUNCTION


def sentences(text: str) -> list[frozenset[str]]:
    """Return the content words of each sentence of a text."""
    return [words for part in _SENTENCE.split(text) if (words := content_words(part))]


def says(text: str, statement: str) -> bool:
    """Return whether one sentence of a text holds all content words of a statement.

    Raises:
      ValueError: the statement has no content words.
    """
    wanted = content_words(statement)
    if not wanted:
        raise ValueError(f"statement {statement!r} has no content words to look for")
    return any(wanted <= words for words in sentences(text))


def covered(text: str, statements: Mapping[str, Sequence[str]]) -> dict[str, bool]:
    """Return of each topic of a record whether a text makes one of its statements."""
    return {
        topic: any(says(text, statement) for statement in made)
        for topic, made in statements.items()
        if made
    }


def coverage(found: Mapping[str, bool]) -> float:
    """Return the share of topics that are covered.

    Raises:
      ValueError: there are none.
    """
    if not found:
        raise ValueError("coverage: the record states nothing of any topic")
    return sum(found.values()) / len(found)
