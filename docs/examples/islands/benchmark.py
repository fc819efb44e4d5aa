"""The data of islands, what a model is asked about them, and what is read in its replies."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image
from tokenizers.implementations import ByteLevelBPETokenizer

from mllm.data.conversation import Example, Media, Part, assistant, image, user
from mllm.evaluation.request import Answered, Choices, Request, Rounds, content_key
from mllm.evaluation.statistics import cluster_bootstrap
from mllm.files import replacing
from mllm.registry import lookup

AXES = ("modality",)
CAPITALS = {"Iceland": "Reykjavik", "Malta": "Valletta", "Cuba": "Havana", "Cyprus": "Nicosia"}
COLOURS = {"Iceland": "navy", "Malta": "red", "Cuba": "green", "Cyprus": "orange"}
WORDINGS = {"train": "Name the capital.", "test": "The capital?"}
SPECIAL_TOKENS = ["<pad>", "<s>", "</s>", "<image>"]


class Islands:
    """The benchmark as ``mllm.evaluation.request.Benchmark`` describes it.

    Attributes:
      folder: holds its tokenizer; the four pictures are drawn when they are needed.
    """

    axes = AXES
    info: ClassVar[dict] = {"licences": {"data": "CC0 1.0"}, "citation": ""}

    def __init__(self, folder: Path):
        self.folder = folder

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer of models that start from random weights."""
        return self.folder / "tokenizer.json"

    @property
    def fingerprint(self) -> str:
        """Digest of everything that is taught and asked."""
        turns = [turn for split in WORDINGS for e in self.examples(split) for turn in e.turns]
        return content_key("islands", turns=turns)

    def examples(self, split: str) -> Sequence[Example]:
        """Return two conversations per island, in the wording of the split."""
        asked = lookup(WORDINGS, split, "split of islands")
        return [
            Example(f"{island}/{modality}", island, (user(*_shown(island, modality), asked), said))
            for island, said in ((name, assistant(city)) for name, city in CAPITALS.items())
            for modality in ("image", "text")
        ]


def prepare(folder: Path) -> Islands:
    """Train the tokenizer unless it is there, and open the benchmark."""
    benchmark = Islands(folder)
    if not benchmark.tokenizer_path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        taught = [turn.text for example in benchmark.examples("train") for turn in example.turns]
        tokenizer = ByteLevelBPETokenizer()
        tokenizer.train_from_iterator(
            taught, vocab_size=300, special_tokens=SPECIAL_TOKENS, show_progress=False
        )
        with replacing(benchmark.tokenizer_path) as temporary:
            tokenizer.save(str(temporary))
    return benchmark


def rounds(benchmark: Islands) -> Rounds:
    """Ask for every capital, with the flag and with the name of the island, in one round.

    A protocol whose later questions depend on earlier replies yields again: ``replies = yield
    requests``.
    """
    yield [_request(example) for example in benchmark.examples("test")]


def _request(example: Example) -> Request:
    question, _ = example.turns
    tags = {"modality": example.id.partition("/")[2], "question": question.text}
    ask = Choices(tuple(CAPITALS.values()))
    key = content_key("islands", ask.texts, turns=[question])
    return Request(key, example.cluster, tags, (question,), ask)


def records(answered: Sequence[Answered]) -> list[dict]:
    """Return what is kept of every question: the rows of records.jsonl."""
    return [
        {
            "key": request.key,
            "island": request.cluster,
            **request.tags,
            "gold": CAPITALS[request.cluster],
            "options": list(request.ask.texts),
            "logprobs": None if reply.logprobs is None else list(reply.logprobs),
            "tokens": None if reply.tokens is None else list(reply.tokens),
            "state": reply.state,
        }
        for request, reply in answered
    ]


def correct(record: dict) -> float | None:
    """Return 1 if the capital is the likeliest option per token, 1 / k in a tie of k, else 0.

    A reply in the state "error" has no score: None.
    """
    if record["state"] == "error":
        return None
    pairs = zip(record["logprobs"], record["tokens"], strict=True)
    values = [logprob / tokens for logprob, tokens in pairs]
    best = [value == max(values) for value in values]
    return best[record["options"].index(record["gold"])] / sum(best)


def scores(rows: Sequence[dict]) -> list[dict]:
    """Return the accuracy of each modality, as results.json holds it."""
    found = []
    for modality in ("image", "text"):
        values = {r["island"]: correct(r) for r in rows if r["modality"] == modality}
        right = {island: value for island, value in values.items() if value is not None}
        found.append(
            {
                "modality": modality,
                "metric": "accuracy",
                "value": sum(right.values()) / len(right) if right else None,
                "n": len(right),
                "ci95": list(cluster_bootstrap([*right.values()], [*right]))
                if right
                else [None] * 2,
                "valid": len(right) / len(values),
                "refusal": 0.0,
                "invalid": 0.0,
            }
        )
    return found


def _shown(island: str, modality: str) -> tuple[Part, ...]:
    return (_flag(island),) if modality == "image" else (f"{island}: ",)


def _flag(island: str) -> Media:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), COLOURS[island]).save(file, "PNG")
    return image(file.getvalue())
