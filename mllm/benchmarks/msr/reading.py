"""What models read of items and users before they are asked about a candidate."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypeVar

from mllm.benchmarks.msr.benchmark import Benchmark
from mllm.benchmarks.msr.preference import Preferences, State
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.rows import User
from mllm.benchmarks.msr.summaries import Summaries, template
from mllm.evaluation.request import Reply, Request

Value = TypeVar("Value")


class Read(NamedTuple):
    """What was read: summaries by item, and preferences by user."""

    summaries: Mapping[str, str]
    states: Mapping[str, State]


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
        """Whether a model writes summaries: some prompt shows them."""
        of_history = self.asks and "summary" in self.prompts.history
        shown = of_history or "summary" in self.prompts.candidate
        return shown and self.summaries.kind != "template"

    @property
    def models(self) -> tuple[str, ...]:
        """The stages whose models write, those of summaries first."""
        found = [self.summaries.model] if self.summarises else []
        found += [self.preferences.model] if self.asks else []
        return tuple(dict.fromkeys(found))

    def written(
        self, benchmark: Benchmark, users: Sequence[User]
    ) -> Generator[list[Request], list[Reply], "Read"]:
        """Yield what is asked about items and about the histories of users, and return it.

        All items are asked about, whoever the users are: so each is summarised in the same company,
        and to the same bits, whoever asks first.
        """
        items = {item.id: item for item in benchmark.items}
        histories = {user.id: [items[id] for id in user.history] for user in users}
        if self.summarises:
            summaries = yield from self.summaries.written(benchmark.items, self.prompts)
        else:
            summaries = {id: template(item) for id, item in items.items()}
        states = yield from self.preferences.written(histories, summaries, self.prompts)
        return Read(summaries, states)

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
