"""A baseline as an answerer: it is asked what a language model is asked, and reads the tags."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mllm.benchmarks.msr.baselines.log import Histories, TrainingLog, histories_of
from mllm.evaluation.request import Choices, Reply, Request
from mllm.evaluation.yes_no import shared
from mllm.registry import lookup

USERS = 256  # scored together, because scores are of all items
TEST = "test"  # the split of requests that do not name one


@dataclass(frozen=True, eq=False)
class Baseline:
    """Answer whether a user takes an item by a score of both; an ``Answerer``.

    p(yes) is the sigmoid of the score. Questions without the tag "label" (summaries of items and of
    tastes) get an empty text, because a baseline says nothing.

    Attributes:
      name: of the baseline.
      benchmark: knows the histories of the users.
      log: the numbers of users and items.
      scores: returns float32[U, N] of histories.
      named: JSON values of what the scores depend on besides the requests.
    """

    name: str
    benchmark: Any
    log: TrainingLog
    scores: Callable[[Histories], np.ndarray]
    named: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> Mapping[str, Any]:
        """The name, and the weights where there are any."""
        return {"baseline": self.name, **self.named}

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to all requests whose key is not in ``done``, those of ``USERS`` users
        at a time.

        Raises:
          ValueError: a user or an item is unknown, or a candidate is not asked for by ``Choices``.
        """
        said = [request for request in requests if "label" not in request.tags]
        silent = [Reply(request.key, text="") for request in said if request.key not in done]
        if silent:
            yield silent
        asked: dict[tuple[str, str], list[Request]] = {}
        for request in requests:
            if "label" in request.tags:
                whose = request.tags.get("split", TEST), request.tags["user"]
                asked.setdefault(whose, []).append(request)
        known = {
            split: {user.id: user for user in self.benchmark.users(split)}
            for split in dict.fromkeys(split for split, _ in asked)
        }
        names = list(asked)
        for first in range(0, len(names), USERS):
            lot = names[first : first + USERS]
            waiting = [r for name in lot for r in asked[name] if r.key not in done]
            if not waiting:
                continue
            users = [lookup(known[split], user, f"user of {split}") for split, user in lot]
            rows = dict(zip(lot, self.scores(histories_of(self.log, users)), strict=True))
            yield [
                self._reply(request, rows[request.tags.get("split", TEST), request.tags["user"]])
                for request in waiting
            ]

    def _reply(self, request: Request, scores: np.ndarray) -> Reply:
        if not isinstance(request.ask, Choices):
            raise ValueError(
                f"request {request.key}: a candidate is asked for by {type(request.ask).__name__}, "
                "expected Choices"
            )
        item = lookup(self.log.item_numbers, request.tags["item"], "item of the catalogue")
        return Reply(request.key, logprobs=shared(request.ask.texts, float(scores[item])))
