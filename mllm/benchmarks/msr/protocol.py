"""What is asked: summaries of items, preferences of users block by block, then yes or no of each
candidate.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mllm.benchmarks.msr.benchmark import Benchmark
from mllm.benchmarks.msr.reading import Read, Reading
from mllm.benchmarks.msr.retrieval import MISSED, Retrieval
from mllm.benchmarks.msr.rows import SPLITS, User
from mllm.benchmarks.msr.scores import records_of as scored_records
from mllm.evaluation.request import Answered, Choices, Request, Rounds, content_key, described
from mllm.evaluation.yes_no import NO, YES
from mllm.registry import lookup

LOT = 256  # users whose candidates are asked about together
ASK = Choices((*YES, *NO), ended=False)


@dataclass(frozen=True)
class Protocol:
    """What is asked of every model.

    Attributes:
      split: whose users. users: how many of them, the first ones; 0 is all.
      reading: what is read of them.
      retrieval: where candidates come from, if not from the negatives of the data.

    Raises:
      ValueError: an unknown split.
    """

    name: str = "candidates"
    split: str = "test"
    users: int = 0
    reading: Reading = field(default_factory=Reading)
    retrieval: Retrieval | None = None

    def __post_init__(self):
        lookup(dict.fromkeys(SPLITS), self.split, "split (config.evaluation.split)")

    @property
    def models(self) -> tuple[str, ...]:
        """The stages whose models are asked besides the one that is evaluated."""
        found = () if self.retrieval is None else (self.retrieval.model,)
        return (*self.reading.models, *found)

    def chosen(self, benchmark: Benchmark) -> list[User]:
        """Return the users that are asked about."""
        users = benchmark.users(self.split)
        return list(users[: self.users] if self.users else users)

    def digest_fields(self) -> dict[str, Any]:
        """Return what must be equal for replies to be comparable, besides ``reading``."""
        retrieval = None if self.retrieval is None else vars(self.retrieval)
        named = {"name": self.name, "split": self.split, "users": self.users}
        return {**named, "retrieval": retrieval, "answers": list(ASK.texts)}


def rounds(benchmark: Benchmark, protocol: Protocol) -> Rounds:
    """Yield the requests about all users: what is read of them, then their candidates."""
    users = protocol.chosen(benchmark)
    candidates: Mapping[str, Sequence[str]] = {user.id: user.candidates for user in users}
    if protocol.retrieval is not None:
        candidates = yield from protocol.retrieval.candidates(benchmark, users)
    read = yield from protocol.reading.written(benchmark, users)
    for start in range(0, len(users), LOT):
        yield [
            candidate_request(benchmark, protocol.reading, user, id, read)
            for user in users[start : start + LOT]
            for id in candidates[user.id]
        ]


def candidate_request(
    benchmark: Benchmark, reading: Reading, user: User, item: str, read: Read
) -> Request:
    """Return the question whether a user takes an item, which may be the target that a retriever
    missed (its ID then begins with ``MISSED``).
    """
    missed = item.startswith(MISSED)
    id = item.removeprefix(MISSED)
    state, summary = read.states[user.id], read.summaries.get(id, "")
    turns = reading.prompts.about_candidate(state.text or "", benchmark.item(id), summary)
    tags = tags_of(benchmark, user, id) | ({"missed": True} if missed else {})
    if tags["label"] == "1":
        tags["trace"] = list(state.trace)
    key = content_key("candidate", user.split, user.id, id, described(ASK), turns=turns)
    return Request(key, user.id, tags, turns, ASK)


def tags_of(benchmark: Benchmark, user: User, item: str) -> dict[str, Any]:
    """Return what is known of a candidate, whoever answers."""
    return {
        "part": "candidate",
        "split": user.split,
        "user": user.id,
        "item": item,
        "label": str(int(item == user.target)),
        "cold": "warm" if benchmark.popularity[user.target] else "cold",
        "history": len(user.history),
    }


def records_of(answered: Iterable[Answered]) -> list[dict[str, Any]]:
    """Return a record for each candidate; that of the target also holds how the user's preference
    came to be, and a target that the retriever missed stands below all others.
    """
    pairs = [pair for pair in answered if pair[0].tags["part"] == "candidate"]
    records = scored_records(pairs)
    lowest = min((r["score"] for r in records if r["score"] is not None), default=0.0)
    for (request, reply), record in zip(pairs, records, strict=True):
        record["tokens"] = reply.extra.get("prompt_tokens")
        if "trace" in request.tags:
            record["trace"] = request.tags["trace"]
        if request.tags.get("missed"):
            record |= {"missed": True, "score": lowest - 1}
    return records
