"""Four islands: a picture shows one of them, and the model names its capital."""

import io
from collections.abc import Sequence
from typing import ClassVar

from PIL import Image

from mllm.data.conversation import Example, Media, Turn, assistant, image, user
from mllm.evaluation.request import Choices, Reply, Request, Rounds, content_key
from mllm.registry import lookup

CAPITALS = {"Iceland": "Reykjavik", "Malta": "Valletta", "Cuba": "Havana", "Cyprus": "Nicosia"}
COLOURS = {"Iceland": "navy", "Malta": "red", "Cuba": "green", "Cyprus": "orange"}
WORDINGS = {"train": "Name the capital.", "test": "Which city is the capital of this island?"}


class Islands:
    """The benchmark as ``mllm.evaluation.request.Benchmark`` describes it."""

    axes = ("modality",)
    info: ClassVar[dict] = {"licences": {"data": "CC0 1.0"}, "citation": ""}

    @property
    def fingerprint(self) -> str:
        conversations = [example.turns for split in WORDINGS for example in self.examples(split)]
        return content_key("islands", turns=[turn for turns in conversations for turn in turns])

    def examples(self, split: str) -> Sequence[Example]:
        """Return one conversation per island, in the wording of the split."""
        asked = lookup(WORDINGS, split, "split of islands")
        return [
            Example(island, island, (user(_flag(island), asked), assistant(capital)))
            for island, capital in CAPITALS.items()
        ]

    def rounds(self, protocol: dict) -> Rounds:
        """Ask for every capital once, with the picture and with the name of the island.

        Args:
          protocol: {"per_token": bool}, which only ``score`` reads.
        """
        yield [
            _request(island, modality, turn)
            for island in CAPITALS
            for modality, turn in (
                ("image", user(_flag(island), WORDINGS["test"])),
                ("text", user(f"{island}: {WORDINGS['test']}")),
            )
        ]


def score(request: Request, reply: Reply, *, per_token: bool = True) -> float | None:
    """Return 1 if the right capital is the most likely one, 1 / k in a tie of k, else 0.

    A reply in the state "error" has no score: None.
    """
    if reply.state == "error":
        return None
    pairs = zip(reply.logprobs, reply.tokens, strict=True)
    values = [logprob / tokens if per_token else logprob for logprob, tokens in pairs]
    best = [i for i, value in enumerate(values) if value == max(values)]
    gold = request.ask.texts.index(CAPITALS[request.cluster])
    return (gold in best) / len(best)


def _request(island: str, modality: str, turn: Turn) -> Request:
    ask = Choices(tuple(CAPITALS.values()))
    key = content_key("islands", ask.texts, turns=[turn])
    return Request(key, island, {"modality": modality}, (turn,), ask)


def _flag(island: str) -> Media:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), COLOURS[island]).save(file, "PNG")
    return image(file.getvalue())
