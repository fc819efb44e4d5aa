"""Comments as people write them below photographs, reduced to sentences about the photograph."""

import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# Why a sentence is dropped -> what such sentences say.
DROPPED = {
    "greeting": re.compile(
        r"\b(congrat\w*|welcome|good luck|best of luck|thanks?|thank you|cheers|happy birthday)\b"
        r"|^(hi|hello|hey|dear)\b",
        re.I,
    ),
    "score": re.compile(
        r"\b\d{1,2}(\.\d+)?\s*(/|out of)\s*10\b|\b(my )?(score|vote|rating|points?)\b"
        r"|\b(gave|give|giving) (it|this|you) an? (\d+|[a-z]+)\b|^\W*\d{1,2}\W*$|\b\d+ from me\b",
        re.I,
    ),
    "contest": re.compile(
        r"\b(challenge|contest|ribbon|dnmc|voters?|voting|bump(ed|ing)?|my favou?rites?)\b"
        r"|\btop (ten|\d+)\b|\b(first|second|third) place\b",
        re.I,
    ),
}
_MARKUP = re.compile(
    r"<[^>]{1,200}>|\[/?[a-z*]{1,10}(=[^\]]{0,200})?\]|https?://\S+|www\.\S+", re.I
)
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")
_WORD = re.compile(r"[^\W\d_]{2,}")
FEWEST_WORDS = 3  # of a sentence that says something


@dataclass(frozen=True)
class Cleaned:
    """The sentences that are left, and how many were dropped for what."""

    sentences: tuple[str, ...]
    dropped: Counter


def clean_comments(comments: Sequence[str]) -> Cleaned:
    """Return the sentences of all comments that are about the photograph, each once.

    Escaped HTML is written out; markup, addresses and what stands in ``DROPPED`` go.
    """
    kept: dict[str, str] = {}
    dropped: Counter = Counter()
    for comment in comments:
        text = _MARKUP.sub(" ", html.unescape(html.unescape(comment)))
        for part in _SENTENCE.split(text):
            sentence = " ".join(part.split())
            if not sentence:
                continue
            if reason := _reason(sentence):
                dropped[reason] += 1
            elif sentence.casefold() in kept:
                dropped["repeated"] += 1
            else:
                kept[sentence.casefold()] = sentence
    return Cleaned(tuple(kept.values()), dropped)


def _reason(sentence: str) -> str | None:
    """Return why a sentence is dropped, None where it is kept."""
    for reason, pattern in DROPPED.items():
        if pattern.search(sentence):
            return reason
    return "too_short" if len(_WORD.findall(sentence)) < FEWEST_WORDS else None
