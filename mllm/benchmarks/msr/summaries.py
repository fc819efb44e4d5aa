"""What a few words say of an item: made of its attributes, or written by a model.

Summaries by a model are replies like all others: a reply is named by the weights, the prompt and
the item's picture and text, and kept in the folder of the model that wrote it
(``mllm.evaluation.kept_answers``). So each is written once in a study, and a stopped study goes on.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.rows import Item
from mllm.data.conversation import Turn
from mllm.evaluation.request import Reply, Request, Text, content_key, described
from mllm.registry import lookup

KINDS = ("template", "picture", "text", "fused")
LOT = 1024  # items that are asked about together: no more of their pictures are laid out at a time


@dataclass(frozen=True)
class Summaries:
    """How items are summarised.

    Attributes:
      kind: one of ``KINDS``: "template" asks no model; "fused" asks three times, as the paper does.
      model: the stage whose model writes them.
      tokens: the most of a summary; the source decodes 200 greedily.
      longest: characters that are kept of a summary.

    Raises:
      ValueError: an unknown kind.
    """

    kind: str = "picture"
    model: str = "summariser"
    tokens: int = 200
    longest: int = 1200

    def __post_init__(self):
        lookup(dict.fromkeys(KINDS), self.kind, "kind of summary (config.summaries.kind)")

    def written(
        self, items: Sequence[Item], prompts: Prompts
    ) -> Generator[list[Request], list[Reply], dict[str, str]]:
        """Yield what is asked about items, and return their summaries by ID."""
        found: dict[str, str] = {}
        for start in range(0, len(items), LOT):
            lot = list(items[start : start + LOT])
            if self.kind == "template":
                found |= {item.id: template(item) for item in lot}
                continue
            said: dict[str, dict[str, str]] = {}
            for kind, turns in (("text", prompts.about_text), ("picture", prompts.about_picture)):
                if self.kind in (kind, "fused"):
                    said[kind] = yield from self._ask(kind, {i.id: turns(i) for i in lot})
            if self.kind == "fused":
                pairs = {i.id: (said["text"][i.id], said["picture"][i.id]) for i in lot}
                turns_of = {id: prompts.fusing(*pair) for id, pair in pairs.items()}
                said["fused"] = yield from self._ask("fused", turns_of)
            found |= said[self.kind]
        return found

    def _ask(
        self, kind: str, turns: Mapping[str, tuple[Turn, ...]]
    ) -> Generator[list[Request], list[Reply], dict[str, str]]:
        requests = [self._request(kind, id, said) for id, said in turns.items()]
        replies = yield requests
        return {
            request.tags["item"]: cut(reply.text or "", self.longest)[0]
            for request, reply in zip(requests, replies, strict=True)
        }

    def _request(self, kind: str, id: str, turns: tuple[Turn, ...]) -> Request:
        ask = Text(self.tokens)
        key = content_key("summary", id, described(ask), turns=turns)
        tags = {"part": "summary", "kind": kind, "item": id}
        return Request(key, f"item {id}", tags, turns, ask, self.model)


def template(item: Item) -> str:
    """Return a summary of what an item's picture shows, made of its attributes.

    Items whose attributes say nothing of their pictures are summarised by their description, else
    by their title.
    """
    shown = item.attributes
    if {"subject", "colour", "pattern"} <= shown.keys():
        plain = shown["pattern"] == "plain"
        ground = (shown["pattern"], shown["colour"])[:: 1 if plain else -1]
        return f"a {shown['subject']} on {' '.join(ground)}"
    return item.description or item.title


def cut(text: str, longest: int) -> tuple[str, bool]:
    """Return a text of at most so many characters, and whether it was cut: after its last whole
    sentence if there is one, else after its last whole word.
    """
    text = text.strip()
    if len(text) <= longest:
        return text, False
    short = text[:longest]
    for mark in (". ", " "):
        if (place := short.rfind(mark)) > 0:
            return short[: place + len(mark)].strip(), True
    return short, True
