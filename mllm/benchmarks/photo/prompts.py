"""Prompts as conversations: the photograph comes first, then the question.

A model whose vision follows the instruction reads the photograph under the whole text of the turn
that shows it, options included where they are listed.
"""

from collections.abc import Sequence

from mllm.benchmarks.photo import row
from mllm.benchmarks.photo.row import Critique
from mllm.benchmarks.photo.words import ABOUT, DESCRIBE, IMPROVE, WEAKNESSES
from mllm.data.conversation import Turn, image, user

LETTERS = tuple(row.LETTERS)
# Of LLaVA-1.5 (Liu et al. 2024, arXiv:2310.03744).
LETTER = "Answer with the option's letter from the given choices directly."
# What the parts of a critique answer, in their first wording.
CRITIQUE = {"description": DESCRIBE[0], "weaknesses": WEAKNESSES[0], "advice": IMPROVE[0]}
TEXT_LIMIT = 64  # tokens of a part of a critique
# Before questions that follow in turns of their own, so that all of them share what is seen.
LOOK = "Look at this photo."


def about(picture: bytes, text: str) -> tuple[Turn, ...]:
    """Return the conversation that shows a photograph and ends with a text."""
    return (user(image(picture), text),)


def with_options(question: str, options: Sequence[str]) -> str:
    """Return a question with its options by letter and the published instruction."""
    listed = [f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=True)]
    return "\n".join([question, *listed, LETTER])


def topic_question(topic: str) -> str:
    """Return the instruction to which the statements of a record about a topic are the answer."""
    return ABOUT.format(topic)


def whole(critique: Critique) -> str:
    """Return all parts of a critique as one text."""
    return " ".join(filter(None, (getattr(critique, part) for part in CRITIQUE)))


def rotated(options: Sequence[str], order: int) -> tuple[str, ...]:
    """Return the options moved on by ``order`` places: option k stands at place (k + order) % 4."""
    count = len(options)
    return tuple(options[(place - order) % count] for place in range(count))


def place_of(option: int, order: int) -> int:
    """Return at which place of ``rotated`` an option stands."""
    return (option + order) % len(LETTERS)


def option_at(place: int, order: int) -> int:
    """Return which option stands at a place of ``rotated``."""
    return (place - order) % len(LETTERS)
