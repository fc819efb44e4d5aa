"""How near a text comes to an accepted one: pure functions of texts."""

import re
import unicodedata
from collections.abc import Hashable, Sequence

from mllm.evaluation.parsing import normalise

_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)  # fmt: skip
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_WORDS)}
_ARTICLES = ("a", "an", "the")


def edit_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Return the fewest insertions, deletions and substitutions that turn ``a`` into ``b``."""
    if len(a) < len(b):
        a, b = b, a
    previous = list(range(len(b) + 1))
    for row, left in enumerate(a, 1):
        current = [row]
        for column, right in enumerate(b, 1):
            substituted = previous[column - 1] + (left != right)
            current.append(min(substituted, previous[column] + 1, current[-1] + 1))
        previous = current
    return previous[-1]


def character_error_rate(reference: str, reply: str) -> float:
    """Return the edit distance in characters over the length of the reference; it may exceed 1.

    Both are compared in NFKC, without case, white space collapsed.

    Raises:
      ValueError: the reference is empty.
    """
    return _error_rate(_folded(reference), _folded(reply), reference)


def word_error_rate(reference: str, reply: str) -> float:
    """Return the edit distance in words over the words of the reference; as for characters."""
    return _error_rate(_folded(reference).split(), _folded(reply).split(), reference)


def _error_rate(reference: Sequence, reply: Sequence, text: str) -> float:
    if not reference:
        raise ValueError(f"the reference is {text!r}; an error rate needs text")
    return edit_distance(reference, reply) / len(reference)


def anls(answers: Sequence[str], reply: str, threshold: float = 0.5) -> float:
    """Return the average normalised Levenshtein similarity of one question.

    1 - distance / length of the longer text, of the nearest answer, and 0 where the normalised
    distance reaches the threshold (Biten et al. 2019). Case and runs of white space do not count.
    """
    return max(_similarity(_folded(answer), _folded(reply), threshold) for answer in answers)


def _similarity(answer: str, reply: str, threshold: float) -> float:
    longest = max(len(answer), len(reply))
    distance = edit_distance(answer, reply) / longest if longest else 0.0
    return 1 - distance if distance < threshold else 0.0


def short_answer(text: str) -> str:
    """Return a short answer in the form in which answers are compared.

    ``parsing.normalise``, then number words up to twenty as digits and no articles, as in the
    evaluation of VQA; a text of articles alone ("A") stays.
    """
    words = [NUMBER_WORDS.get(word, word) for word in normalise(text).split()]
    return " ".join([word for word in words if word not in _ARTICLES] or words)


def equals_any(answers: Sequence[str], reply: str) -> float:
    """Return 1 where the reply is one of the answers as ``short_answer`` gives them, else 0."""
    return float(short_answer(reply) in {short_answer(answer) for answer in answers})


def vqa_accuracy(answers: Sequence[str], reply: str) -> float:
    """Return the soft accuracy of VQA: min(matches / 3, 1), averaged over the sets that leave out
    one annotator (Antol et al. 2015; ten annotators there). Texts match as ``short_answer``.

    Raises:
      ValueError: there are fewer than two answers.
    """
    if len(answers) < 2:
        raise ValueError(f"{len(answers)} answers; leaving one out needs at least two")
    said = short_answer(reply)
    matches = [short_answer(answer) == said for answer in answers]
    return sum(min((sum(matches) - left_out) / 3, 1.0) for left_out in matches) / len(matches)


def _folded(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip().casefold()
