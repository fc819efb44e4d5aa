"""What is asked about each photograph: its questions by the text and by the letter of the options,
in four orders of the options, and a critique.

The prompt of the reading by text does not list the options. Their log-probabilities then say what
the model sees, not which of four texts it just read, and no order of the options can matter; the
published prompt, which lists them, is that of the reading by letter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mllm.benchmarks.photo.prompts import (
    CRITIQUE,
    LETTERS,
    TEXT_LIMIT,
    about,
    place_of,
    rotated,
    with_options,
)
from mllm.benchmarks.photo.row import Photo, Question
from mllm.data.conversation import Turn
from mllm.evaluation.request import Ask, Choices, Request, Rounds, Text, content_key

ALL = -1
LOT = 128  # photographs of one round: no more of them are in memory at a time
ORDERS = len(LETTERS)
LETTER_TOKENS = 8  # of a reply that should be a letter


@dataclass(frozen=True)
class Protocol:
    """What is asked of every model.

    Attributes:
      split: of the photographs.
      photos: how many of them are asked about, the first ones; ALL is all.
      letters: about how many of these the questions are also asked by letter.
      critiques: of how many of these a critique is asked for.
      orders: of the options, 1 or 4. generated: whether a letter is also generated.
      critique_tokens: the most tokens of each part of a critique.

    Raises:
      ValueError: another number of orders, or a number below 0 other than ALL.
    """

    name: str = "four_options"
    split: str = "test"
    photos: int = ALL
    letters: int = ALL
    critiques: int = ALL
    orders: int = ORDERS
    generated: bool = True
    critique_tokens: int = TEXT_LIMIT

    def __post_init__(self):
        if self.orders not in (1, ORDERS):
            raise ValueError(f"evaluation.orders is {self.orders}, expected 1 or {ORDERS}")
        for name in ("photos", "letters", "critiques"):
            if getattr(self, name) < ALL:
                raise ValueError(
                    f"evaluation.{name} is {getattr(self, name)}, expected 0 or more, or {ALL} for "
                    "all"
                )
        if self.critique_tokens < 1:
            raise ValueError(
                f"evaluation.critique_tokens is {self.critique_tokens}, expected 1 or more: "
                "evaluation.critiques=0 asks for no critique"
            )

    def digest_fields(self) -> dict[str, Any]:
        """Return what must be equal for replies to be comparable."""
        return asdict(self)


def rounds(photos: Sequence[Photo], protocol: Protocol) -> Rounds:
    """Yield the requests about all photographs, a lot of them at a time."""
    count = len(photos) if protocol.photos == ALL else min(protocol.photos, len(photos))
    for first in range(0, count, LOT):
        chosen = range(first, min(first + LOT, count))
        yield [request for at in chosen for request in requests_of(photos[at], at, protocol)]


def requests_of(photo: Photo, number: int, protocol: Protocol) -> Iterator[Request]:
    """Yield all requests about a photograph, the ``number``-th of those that are asked about."""
    lettered = protocol.letters == ALL or number < protocol.letters
    for question in photo.questions:
        turns = about(photo.picture, question.question)
        yield _request(photo, question, "text", turns, Choices(question.options))
        if lettered:
            yield from _by_letter(photo, question, protocol)
    described = protocol.critiques == ALL or number < protocol.critiques
    if photo.critique is not None and described:
        for part in CRITIQUE:
            yield _critique_request(photo, part, Text(protocol.critique_tokens))


def _by_letter(photo: Photo, question: Question, protocol: Protocol) -> Iterator[Request]:
    for order in range(protocol.orders):
        text = with_options(question.question, rotated(question.options, order))
        turns = about(photo.picture, text)
        yield _request(photo, question, "letter", turns, Choices(LETTERS), order)
        if order == 0 and protocol.generated:
            yield _request(photo, question, "generated", turns, Text(LETTER_TOKENS))


def _request(
    photo: Photo,
    question: Question,
    reading: str,
    turns: tuple[Turn, ...],
    ask: Ask,
    order: int = 0,
) -> Request:
    tags = {
        "photo": photo.id,
        "reading": reading,
        "topic": question.topic,
        "subtopic": question.subtopic,
        "attribute": question.attribute,
        "question": question.id,
        "options": question.options,
        "right": question.key,
        "order": order,
    }
    key = content_key(photo.id, question.id, reading, order, turns=turns)
    return Request(key, photo.source, tags, turns, ask)


def _critique_request(photo: Photo, part: str, ask: Text) -> Request:
    """Return the request for a part of the critique of a photograph."""
    turns = about(photo.picture, CRITIQUE[part])
    tags = {"photo": photo.id, "reading": "critique", "part": part}
    key = content_key(photo.id, "critique", part, turns=turns)
    return Request(key, photo.source, tags, turns, ask)


def gold(request: Request) -> str:
    """Return the right answer to a question."""
    tags = request.tags
    if tags["reading"] == "text":
        return tags["options"][tags["right"]]
    return LETTERS[place_of(tags["right"], tags["order"])]


def candidates(request: Request) -> Sequence[str]:
    """Return the answers to a question that a guess is drawn from."""
    return request.tags["options"] if request.tags["reading"] == "text" else LETTERS
