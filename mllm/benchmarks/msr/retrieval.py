"""Candidates from the whole catalogue: a first-stage retriever chooses, the model orders again."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from mllm.benchmarks.msr.benchmark import Benchmark
from mllm.benchmarks.msr.rows import User
from mllm.evaluation.request import Choices, Reply, Request, content_key
from mllm.evaluation.yes_no import NO, YES, log_odds

MISSED = "missed:"
LOT = 64  # users whose whole catalogue is asked about together
ASK = Choices((*YES, *NO), ended=False)


@dataclass(frozen=True)
class Retrieval:
    """The first stage.

    Attributes:
      model: a stage that scores items by what it knows of a user, such as any baseline.
      top: how many items it hands on.

    Raises:
      ValueError: it hands on fewer than two.
    """

    model: str
    top: int = 100

    def __post_init__(self):
        if self.top < 2:
            raise ValueError(f"config.evaluation.top is {self.top}, expected 2 or more")

    def candidates(
        self, benchmark: Benchmark, users: Sequence[User]
    ) -> Generator[list[Request], list[Reply], dict[str, list[str]]]:
        """Yield what the retriever is asked about all items that users have not taken, and return
        the best of each user.

        A target that is not among them takes the last place, its ID marked with ``MISSED``; so each
        user has equally many, and whoever orders them can gain nothing by it.

        Raises:
          ValueError: the retriever has no score for an item.
        """
        found: dict[str, list[str]] = {}
        for start in range(0, len(users), LOT):
            lot = users[start : start + LOT]
            requests = [request for user in lot for request in self._requests(benchmark, user)]
            replies = yield requests
            scores: dict[str, list[tuple[float, str]]] = {}
            for request, reply in zip(requests, replies, strict=True):
                if reply.logprobs is None:
                    raise ValueError(f"{self.model} gives {request.key} no score")
                score = log_odds(ASK.texts, reply.logprobs)
                scores.setdefault(request.tags["user"], []).append((score, request.tags["item"]))
            for user in lot:
                ranked = sorted(scores[user.id], key=lambda pair: (-pair[0], pair[1]))
                best = [id for _, id in ranked[: self.top]]
                if user.target not in best:
                    best[-1] = f"{MISSED}{user.target}"
                found[user.id] = best
        return found

    def _requests(self, benchmark: Benchmark, user: User) -> list[Request]:
        known, cold = set(user.history), "warm" if benchmark.popularity[user.target] else "cold"
        return [
            Request(
                content_key("retrieval", user.split, user.id, id),
                user.id,
                {
                    "part": "retrieval",
                    "split": user.split,
                    "user": user.id,
                    "item": id,
                    "label": str(int(id == user.target)),
                    "cold": cold,
                    "history": len(user.history),
                },
                (),
                ASK,
                self.model,
            )
            for id in benchmark.item_ids
            if id not in known
        ]
