"""What is asked about each item: forms, wordings, option orders."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mllm.benchmarks.scale.item import LETTERS, Item
from mllm.benchmarks.scale.prompts import (
    PICTURES,
    answer,
    asked_turns,
    forms_of,
    option_order,
    question,
)
from mllm.evaluation.request import Choices, Request, Rounds, Text, content_key
from mllm.registry import lookup

ITEMS = 1024  # asked in one round: pictures of no more items are in memory at a time


@dataclass(frozen=True)
class Protocol:
    """How items are asked.

    Attributes:
      split: the items.
      wordings: variants of each item. Variant 0 is the one that scores are of; the others, with
        other wordings and other orders of the options, show how far scores depend on them.
      logprobs: whether the options of a choice are also scored by their log-probabilities, which a
        service does not give.
      reply_tokens: the most tokens of a reply.
      pictures: "native", or "montage" for models that were taught with a single picture.

    Raises:
      ValueError: an unknown way to show pictures, or no wording or token.
    """

    name: str = "zero_shot"
    split: str = "test"
    wordings: int = 3
    logprobs: bool = True
    reply_tokens: int = 32
    pictures: str = "native"

    def __post_init__(self):
        lookup(dict.fromkeys(PICTURES), self.pictures, "value of evaluation.pictures")
        for key in ("wordings", "reply_tokens"):
            if getattr(self, key) < 1:
                raise ValueError(f"evaluation.{key} is {getattr(self, key)}, expected at least 1")

    def digest_fields(self) -> dict[str, Any]:
        """Return what must be equal for replies to be comparable."""
        return asdict(self)


def rounds(items: Sequence[Item], protocol: Protocol) -> Rounds:
    """Yield the requests of all items, a few hundred items at a time."""
    for first in range(0, len(items), ITEMS):
        chosen = range(first, min(first + ITEMS, len(items)))
        yield [request for i in chosen for request in requests_of(items[i], protocol)]


def requests_of(item: Item, protocol: Protocol) -> Iterator[Request]:
    """Yield all requests about an item; those of one variant have the same wording."""
    for variant in range(protocol.wordings):
        for form in forms_of(item):
            if form != "options" or protocol.logprobs:
                yield _request(item, form, variant, protocol)


def _request(item: Item, form: str, variant: int, protocol: Protocol) -> Request:
    turns = asked_turns(item, form, variant, protocol.pictures)
    ask = Choices(item.options) if form == "options" else Text(protocol.reply_tokens)
    return Request(
        key=content_key(item.id, form, variant, turns=turns),
        cluster=item.id,
        tags={
            "suite": item.suite,
            "format": item.format,
            "capability": item.capability,
            "item": item.id,
            "form": form,
            "variant": variant,
            "kind": item.kind,
            "question": question(item, form, variant),
            "answers": [answer(item, form, variant)] if item.kind == "choice" else item.answers,
            "options": option_order(item, variant) if form == "letter" else item.options,
            "rule": item.scene.get("rule"),
            "objects": item.objects,
            "tag": item.tag,
        },
        turns=turns,
        ask=ask,
    )


def gold(request: Request) -> str:
    """Return the right answer to a request: what the oracle says."""
    return request.tags["answers"][0]


def guesses(find: Callable[[str], Item]) -> Callable[[Request], Sequence[str]]:
    """Return the function from a request to the answers that a guess is drawn from; to a free
    question of an imported file a guess is empty.

    Args:
      find: returns the item of an id.
    """

    def candidates(request: Request) -> Sequence[str]:
        if request.tags["form"] == "options":
            return request.tags["options"]
        if request.tags["form"] == "letter":
            return LETTERS[: len(request.tags["options"])]
        return find(request.tags["item"]).candidates or ("",)

    return candidates
