"""Wrong answers of the same form as the right one: what truth ratios compare it with."""

import random
from collections.abc import Iterable, Mapping, Sequence

from mllm.benchmarks.mllmu.schema import Profile, Question

WRONG = 3  # wrong answers of a question, at most: as many as a multiple choice has


def known_values(profiles: Iterable[Profile]) -> dict[str, tuple[str, ...]]:
    """Return the values of each attribute that short answers of training pairs name, sorted.

    Pairs that do not say what they ask about, as published ones, give none.
    """
    found: dict[str, set[str]] = {}
    for profile in profiles:
        for pair in profile.training:
            if pair.attribute and pair.form != "sentence":
                found.setdefault(pair.attribute, set()).add(pair.answer)
    return {attribute: tuple(sorted(values)) for attribute, values in found.items()}


def named_value(answer: str, values: Iterable[str]) -> str | None:
    """Return the value that an answer names, the longest of several; None where it names none."""
    return max((value for value in values if value in answer), key=len, default=None)


def wrong_answers(question: Question, values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return wrong answers of a question: the other options of a multiple choice; else the right
    answer with other values of the attribute, drawn by the content of the question.

    None where the attribute is unknown or the answer names no known value of it.

    Args:
      question: as a protocol asks it (``answerable.strict_form``). values: of ``known_values``.
    """
    if question.task == "classification":
        return tuple(text for letter, text in question.options.items() if letter != question.answer)
    known = values.get(question.attribute, ())
    named = named_value(question.answer, known)
    if named is None:
        return ()
    before, _, after = question.answer.rpartition(named)
    others = [value for value in known if value != named]
    place = f"{question.profile}/{question.task}/{question.modality}/{question.index}"
    drawn = random.Random(f"wrong/{place}/{question.answer}")
    return tuple(
        f"{before}{value}{after}" for value in drawn.sample(others, min(WRONG, len(others)))
    )
