"""The same fact in another sentence: paraphrases of the answers of generated data."""

import re
from collections.abc import Iterator

from mllm.benchmarks.mllmu.questions import fill_in
from mllm.benchmarks.mllmu.schema import BLANK, Question
from mllm.benchmarks.mllmu.wordings import (
    CELEBRITY_WORDINGS,
    IMAGE_SUBJECT,
    PERSON_WORDINGS,
    Wording,
)


def paraphrased(question: Question) -> str | None:
    """Return the answer to a question in other words, None where there are none: for a value that
    is no sentence, and for a sentence that the generator did not write.

    The words are those of a gap text that teaches the same attribute, with the value in its gap; no
    training pair has this sentence as its answer.

    Args:
      question: as a protocol asks it. Its answer may be a wrong one.
    """
    if question.task != "generation":
        return None
    for wording in _wordings(question.attribute):
        found = _pattern(wording.sentence).fullmatch(question.answer)
        if found:
            person = found["p"]
            person = IMAGE_SUBJECT if person.lower() == IMAGE_SUBJECT else person
            return fill_in(_other_sentence(wording), person, found["v"])
    return None


def _wordings(attribute: str) -> Iterator[Wording]:
    for wordings in (PERSON_WORDINGS, CELEBRITY_WORDINGS):
        if attribute in wordings:
            yield wordings[attribute]


def _other_sentence(wording: Wording) -> str:
    sentences = [text.replace(BLANK, "{v}") for text in wording.blank]
    return next(text for text in sentences if text != wording.sentence)


def _pattern(sentence: str) -> re.Pattern:
    """Return what matches a sentence about anybody, with groups p and v."""
    filled = fill_in(sentence, "{p}", "{v}")  # its first letter is a capital, unless it is a name's
    groups = {"{p}": "(?P<p>.+)", "{v}": "(?P<v>.+)"}
    return re.compile("".join(groups.get(part, re.escape(part)) for part in _PARTS.split(filled)))


_PARTS = re.compile(r"(\{[pv]\})")
