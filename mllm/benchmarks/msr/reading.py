"""What models read of items and users before they are asked about a candidate."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from mllm.benchmarks.msr.benchmark import Benchmark
from mllm.benchmarks.msr.preference import Preferences, State
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.rows import User
from mllm.benchmarks.msr.summaries import Summaries, template
from mllm.evaluation.request import Reply, Request

Value = TypeVar("Value")


@dataclass(frozen=True)
class Reading:
    """How items and users are put into words.

    Attributes:
      prompts, summaries, preferences: see their classes.
    """

    prompts: Prompts = field(default_factory=Prompts)
    summaries: Summaries = field(default_factory=Summaries)
    preferences: Preferences = field(default_factory=Preferences)

    @property
    def asks(self) -> bool:
        """Whether a model writes preferences."""
        return self.preferences.form != "none" and self.preferences.writer == "model"

    @property
    def summarises(self) -> bool:
        """Whether a model writes summaries, which only prompts for preferences show."""
        shown = "summary" in self.prompts.history
        return self.asks and shown and self.summaries.kind != "template"

    @property
    def models(self) -> tuple[str, ...]:
        """The stages whose models write, those of summaries first."""
        found = [self.summaries.model] if self.summarises else []
        found += [self.preferences.model] if self.asks else []
        return tuple(dict.fromkeys(found))

    def written(
        self, benchmark: Benchmark, users: Sequence[User]
    ) -> Generator[list[Request], list[Reply], dict[str, State]]:
        """Yield what is asked about items and about the histories of users, and return what users
        prefer, by ID.

        All items are asked about, whoever the users are: so each is summarised in the same company,
        and to the same bits, whoever asks first.
        """
        items = {id: benchmark.item(id) for user in users for id in user.history}
        histories = {user.id: [items[id] for id in user.history] for user in users}
        summaries = {id: template(item) for id, item in items.items()}
        if self.summarises:
            summaries |= yield from self.summaries.written(benchmark.items, self.prompts)
        return (yield from self.preferences.written(histories, summaries, self.prompts))

    def digest_fields(self) -> dict[str, Any]:
        """Return what must be equal for replies to be comparable."""
        return asdict(self)


def replayed(
    rounds: Generator[list[Request], list[Reply], Value], replies: Mapping[str, Reply]
) -> Value:
    """Return what rounds return when they are sent replies that are known, by key."""
    try:
        requests = next(rounds)
        while True:
            requests = rounds.send([replies[request.key] for request in requests])
    except StopIteration as stop:
        return stop.value
