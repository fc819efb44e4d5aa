"""Does a model still write language? How varied its replies are, and how often they loop."""

from collections.abc import Sequence


def distinct_n(replies: Sequence[str], n: int) -> float | None:
    """Return the number of different n-grams of words in all replies over the number of all
    (Li et al. 2016); None where no reply has n words.

    It falls with the amount of text: compare models on the same questions.
    """
    grams = [gram for reply in replies for gram in _grams(reply, n)]
    return len(set(grams)) / len(grams) if grams else None


def repetition(reply: str, n: int = 2) -> float:
    """Return the share of a reply's n-grams of words that occurred in it before; 0 for fewer words
    (Welleck et al. 2020).
    """
    grams = _grams(reply, n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
