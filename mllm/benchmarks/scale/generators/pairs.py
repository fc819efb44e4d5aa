"""What generators repeat: a draft from two truths, which one painter draws.

A truth says all that a picture shows, in JSON values. A generator draws two lists of truths that
fit the same text and lead to different answers: the pictures and their twins.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mllm.benchmarks.scale.draw import BACKGROUNDS, MARK_COLOURS, Canvas
from mllm.benchmarks.scale.item import Draft

Truth = dict[str, Any]
Painter = Callable[[Truth, int], Canvas]
"""(truth of a picture, side in pixels) -> the picture."""

Value = TypeVar("Value")
GRAIN = 64  # bytes of noise in a picture


def twins(
    rng: random.Random,
    side: int,
    paint: Painter,
    pictures: Sequence[Truth],
    twin: Sequence[Truth],
    *,
    ask: dict[str, Any],
    answers: tuple[str, str],
    layout: Sequence[str | int] | None = None,
    candidates: Sequence[str] = (),
    options: Sequence[str] = (),
    kind: str = "choice",
    **fields: Any,
) -> Draft:
    """Draw two lists of truths and return their draft.

    Args:
      rng: source of the grain.
      side: of a picture, in pixels.
      paint: draws one truth.
      pictures, twin: truths of the pictures and of the twin pictures.
      ask: what the question asks for, in JSON values.
      answers: with the pictures, with the twin pictures.
      layout: the pictures in their order if it is not given.
      candidates: the options if they are not given.
      options, kind, **fields: as in `Draft`.
    """

    def drawn(truths: Sequence[Truth]) -> tuple[bytes, ...]:
        return tuple(paint(truth, side).png(rng.randbytes(GRAIN)) for truth in truths)

    return Draft(
        pictures=drawn(pictures),
        twin_pictures=drawn(twin),
        layout=tuple(range(len(pictures)) if layout is None else layout),
        answers=(answers[0],),
        twin_answers=(answers[1],),
        options=tuple(options),
        candidates=tuple(candidates or options),
        kind=kind,
        scene={"ask": ask, "pictures": list(pictures), "twin": list(twin)},
        **fields,
    )


def shuffled(rng: random.Random, values: Sequence[Value]) -> list[Value]:
    """Return the values in random order."""
    return rng.sample(values, len(values))


def options_of(
    rng: random.Random, values: Sequence[str], number: int = 4
) -> tuple[list[str], str, str]:
    """Return `number` of the values in random order, and two of them: gold and twin."""
    options = rng.sample(values, number)
    gold, twin = rng.sample(options, 2)
    return options, gold, twin


def yes_or_no(rng: random.Random) -> tuple[str, str]:
    """Return ("yes", "no") or ("no", "yes")."""
    return rng.choice((("yes", "no"), ("no", "yes")))


def ground(rng: random.Random) -> str:
    """Return the name of a background."""
    return rng.choice(tuple(BACKGROUNDS))


def colours(rng: random.Random, number: int, without: Sequence[str] = ()) -> list[str]:
    """Return different colours of marks, of which no two are close to each other."""
    clear = [c for c in MARK_COLOURS if c not in ("orange", "pink", *without)]
    return rng.sample(clear, number)


def phrase(questions: Sequence[str], **values: Any) -> tuple[str, ...]:
    """Return the wordings with their gaps filled."""
    return tuple(question.format(**values) for question in questions)


YES_NO: dict[str, Any] = {"kind": "yes_no", "candidates": ("yes", "no")}
