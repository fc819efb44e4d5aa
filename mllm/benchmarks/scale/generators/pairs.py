"""Drafts from two lists of truths that one painter draws, and values to fill them with."""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mllm.benchmarks.scale.draw import MARK_COLOURS, Canvas
from mllm.benchmarks.scale.generators.common import Truth, background, draft, shift
from mllm.benchmarks.scale.item import Draft

Value = TypeVar("Value")
SHIFT = 3  # percent of the side by which everything in a picture is moved at most

ORDERS = {", ".join(map(str, order)): order for order in itertools.permutations((1, 2, 3))}
"""Orders of three images by how they are written."""

YES_NO: dict[str, Any] = {"kind": "yes_no", "candidates": ("yes", "no")}
"""Fields of a draft whose question is answered with yes or no."""


def twins(
    rng: random.Random,
    side: int,
    paint: Callable[[Canvas, Truth], None],
    pictures: Sequence[Truth],
    twin: Sequence[Truth],
    *,
    ask: dict[str, Any],
    answers: tuple[str, str],
    kind: str = "choice",
    **fields: Any,
) -> Draft:
    """Draw two lists of truths and return their draft.

    All pictures share a background and a small shift, which are added to the truths, so that
    items differ even where they show the same.

    Args:
      rng: source of background and shift.
      side: of a picture, in pixels.
      paint: draws a truth on a canvas that has its background.
      pictures, twin: truths of the pictures and of the twin pictures.
      ask: what the question asks for, as JSON values.
      answers: with the pictures, with the twin pictures.
      kind, **fields: as in `common.draft`.
    """
    view = {"ground": background(rng), "shift": [shift(rng, SHIFT), shift(rng, SHIFT)]}

    def painted(side: int, truth: Truth) -> bytes:
        canvas = Canvas(side, truth["ground"], tuple(truth["shift"]))
        paint(canvas, truth)
        return canvas.png()

    truths, others = ([truth | view for truth in some] for some in (pictures, twin))
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
    return draft(painted, side, ask, truths, others, answers, kind=kind, **fields)


def shuffled(rng: random.Random, values: Sequence[Value]) -> list[Value]:
    """Return the values in random order."""
    return rng.sample(values, len(values))


def options_of(
    rng: random.Random, values: Sequence[Value], number: int = 4
) -> tuple[list[Value], Value, Value]:
    """Return `number` of the values in random order, and two of them: gold and twin."""
    options = rng.sample(values, number)
    gold, twin = rng.sample(options, 2)
    return options, gold, twin


def images(first: int, last: int) -> list[str]:
    """Return the options "image `first`" to "image `last`"."""
    return [f"image {number}" for number in range(first, last + 1)]


def yes_or_no(rng: random.Random) -> tuple[str, str]:
    """Return ("yes", "no") or ("no", "yes")."""
    return rng.choice((("yes", "no"), ("no", "yes")))


def colours(rng: random.Random, number: int, without: Sequence[str] = ()) -> list[str]:
    """Return different colours of marks, of which no two are close to each other."""
    clear = [c for c in MARK_COLOURS if c not in ("orange", "pink", *without)]
    return rng.sample(clear, number)


def phrase(questions: Sequence[str], **values: Any) -> tuple[str, ...]:
    """Return the wordings with their gaps filled."""
    return tuple(question.format(**values) for question in questions)


def article(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
