"""Which questions of an imported row can be asked, and in what form.

The importer keeps a row as it is published: an answer may be a letter without an option, an option
may be missing. Each protocol says here which of these questions it leaves out, and why.
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from mllm.benchmarks.mllmu.schema import LETTERS, MODALITIES, Question

SHOWN = 3  # questions that a note names


@dataclass(frozen=True)
class Skipped:
    """A question that is not asked, and the reason."""

    set: str
    question: Question
    reason: str

    def listed(self) -> dict[str, Any]:
        """Return what the manifest of an evaluation says about it."""
        names = ("profile", "task", "modality", "index")
        place = {name: getattr(self.question, name) for name in names}
        return {"set": self.set, **place, "reason": self.reason}


def strict_form(question: Question) -> Question:
    """Return a question as the strict protocol asks it: its options are those that have a text, in
    the order of their letters, and the right letter is a capital.

    Raises:
      ValueError: it cannot be asked or scored; the message is the reason.
    """
    if question.modality not in MODALITIES:
        raise ValueError(f"its Type is {question.modality!r}")
    if not _has_text(question.question):
        raise ValueError("it has no text")
    if question.task != "classification":
        if not _has_text(question.answer):
            raise ValueError("its truth is empty")
        return question
    given = question.options or {}
    letters = [letter for letter in string.ascii_uppercase if _has_text(given.get(letter))]
    missing = [letter for letter in LETTERS if letter not in letters]
    if missing:
        raise ValueError(f"it has no option {', '.join(missing)}")
    answer = (question.answer or "").strip().upper()
    if answer not in letters:
        raise ValueError(
            f"its answer {question.answer!r} is not the letter of one of its options "
            f"{', '.join(letters)}"
        )
    return replace(question, options={letter: given[letter] for letter in letters}, answer=answer)


def paper_form(question: Question) -> Question:
    """Return a question as the published script asks it: nothing is corrected, but a generation of
    an unknown type is one about text alone.

    Raises:
      ValueError: the script stops at it, or does not count it; the message is the reason.
    """
    if question.task == "classification":
        if not question.options:
            raise ValueError("it has no options")
        return question
    if question.answer is None:
        raise ValueError("it has no truth")
    if question.task == "generation":
        known = question.modality in MODALITIES
        return question if known else replace(question, modality="text")
    if question.question is None:
        raise ValueError("it has no text")
    if question.modality not in MODALITIES:
        raise ValueError(f"its Type is {question.modality!r}")
    return question


def notes(protocol: str, skipped: Iterable[Skipped]) -> tuple[str, ...]:
    """Return a line about the questions that a protocol leaves out, none if there are none."""
    skipped = list(skipped)
    if not skipped:
        return ()
    named = [
        f"{one.set}/{one.question.profile} {one.question.task} {one.question.modality} "
        f"{one.question.index}: {one.reason}"
        for one in skipped[:SHOWN]
    ]
    more = f"; and {len(skipped) - SHOWN} more" if len(skipped) > SHOWN else ""
    return (
        f"protocol {protocol} leaves out {len(skipped)} questions that it cannot ask or score: "
        f"{'; '.join(named)}{more}",
    )


def _has_text(value: str | None) -> bool:
    return bool(value and value.strip())
