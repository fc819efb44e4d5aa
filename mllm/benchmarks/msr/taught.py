"""What the models of a study learn from: summaries and preferences by template, and the choices of
users to train on.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mllm.benchmarks.msr.benchmark import Benchmark
from mllm.benchmarks.msr.preference import State, axes_of, in_common
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.reading import Reading, replayed
from mllm.benchmarks.msr.rows import Item, User
from mllm.benchmarks.msr.summaries import template
from mllm.data.conversation import Example, Turn, assistant
from mllm.data.source import Source
from mllm.evaluation.request import Answered

TRAIN = "train"
# How much likelier items with a favourite value are in blocks that are made up, in nats.
PULL = 2.0
FOREIGN = 0.1  # share of items that have nothing to do with the favourites


class Summarised(Source[Example]):
    """Items with what a summary says of them."""

    def __init__(self, items: Sequence[Item], reading: Reading):
        self._items, self._reading = items, reading
        kind = reading.summaries.kind
        self._kinds = ("text", "picture", "fused") if kind == "fused" else (kind,)

    def __len__(self) -> int:
        return len(self._items) * len(self._kinds)

    def read(self, number: int) -> Example:
        place, which = divmod(number, len(self._kinds))
        item, kind, prompts = self._items[place], self._kinds[which], self._reading.prompts
        shown, said = template(item), item.description or item.title
        turns, answer = {
            "text": (prompts.about_text, said),
            "picture": (prompts.about_picture, shown),
            "fused": (lambda _: prompts.fusing(said, shown), f"{shown}. {said}"),
        }[kind]
        return Example(f"{item.id}/{kind}", item.id, (*turns(item), assistant(answer)))


class Invented:
    """Histories that are made up of items around favourites."""

    def __init__(self, items: Sequence[Item], reading: Reading):
        """Prepare to choose from items with attributes, which are kept in memory."""
        self.items, self.reading = list(items), reading
        axes = axes_of(self.items)
        values = [sorted({item.attributes[axis] for item in self.items}) for axis in axes]
        self._codes = np.array(
            [
                [
                    known.index(item.attributes[axis])
                    for axis, known in zip(axes, values, strict=True)
                ]
                for item in self.items
            ]
        )
        self._counts = [len(known) for known in values]

    def favourites(self, rng: np.random.Generator) -> np.ndarray:
        """Return i64[attributes], the places of the favourite values."""
        return rng.integers(self._counts)

    def block(self, rng: np.random.Generator, favourites: np.ndarray, size: int) -> list[Item]:
        """Return items that a user with these favourites may take."""
        liking = np.exp(PULL * (self._codes == favourites).sum(1))
        chances = (1 - FOREIGN) * liking / liking.sum() + FOREIGN / len(liking)
        return [self.items[n] for n in rng.choice(len(liking), size, replace=False, p=chances)]

    def states(
        self, rng: np.random.Generator, favourites: np.ndarray
    ) -> tuple[State, list[Item], State]:
        """Return the preference before a last block, the block, and the preference after it."""
        preferences, after = self.reading.preferences, State()
        if preferences.form == "direct":
            sizes = [int(rng.integers(2, 4 * preferences.block + 1))]
        else:
            whole = rng.random() < 0.5
            last = preferences.block if whole else int(rng.integers(1, preferences.block + 1))
            sizes = [*[preferences.block] * int(rng.integers(0, 3)), last]
        for size in sizes:
            before, items = after, self.block(rng, favourites, size)
            after = preferences.by_template(before, items, self.reading.prompts)
        return before, items, after


class Blocks(Source[Example]):
    """Blocks of items, made up, with the preferences that a template names."""

    def __init__(self, invented: Invented, *, size: int, seed: int):
        self._invented, self._size, self._seed = invented, size, seed

    def __len__(self) -> int:
        return self._size

    def read(self, number: int) -> Example:
        rng = np.random.default_rng([self._seed, number])
        reading = self._invented.reading
        before, items, after = self._invented.states(rng, self._invented.favourites(rng))
        user, said = str(rng.integers(1, 1000)), [template(item) for item in items]
        single = reading.preferences.form == "direct"
        turns = reading.prompts.about_block(user, items, said, before.text, single=single)
        return Example(f"block {number}", user, (*turns, assistant(after.text)))


class Comparisons(Source[Example]):
    """Preferences, made up, with items, and what they have in common.

    A model that was trained on pictures and text at large can tell; a new one learns it here, and
    not from the choices of users.
    """

    def __init__(self, invented: Invented, *, size: int, seed: int, group: int = 8):
        """Describe the comparisons.

        Args:
          group: of so many items the preference is the same, so that it is read once.
        """
        self._invented, self._size, self._seed = invented, size, seed
        self._group = group

    def __len__(self) -> int:
        return self._size

    def read(self, number: int) -> Example:
        place, within = divmod(number, self._group)
        rng = np.random.default_rng([self._seed, 1, place])
        invented, prompts = self._invented, self._invented.reading.prompts
        favourites = invented.favourites(rng)
        *_, after = invented.states(rng, favourites)
        mixed = np.where(rng.random(favourites.shape) < 0.5, favourites, invented.favourites(rng))
        item = invented.block(rng, mixed, self._group)[within]
        said = in_common(after.text, item, prompts.wording.start)
        turns = prompts.about_common(after.text, item, template(item))
        return Example(f"comparison {number}", item.id, (*turns, assistant(said)))


@dataclass(frozen=True)
class Decision:
    """One choice of a user: an item that was taken or not, after so many items of the history.

    Attributes:
      preference: what the history says by then. summary: of the item.
    """

    user: User
    seen: int
    preference: str
    item: str
    taken: bool
    summary: str = ""


def decisions(
    benchmark: Benchmark,
    reading: Reading,
    answered: Iterable[Answered],
    *,
    negatives: int,
    ahead: int,
    seed: int,
) -> list[Decision]:
    """Return the choices of the users to train on; those with the same preference follow each
    other.

    Args:
      answered: the requests of ``reading.written`` with their replies.
      negatives: items that were not taken, for each that was; the first is that of the data.
      ahead: after each block but the last, how many of the items that follow are learned too; 0
        learns the target alone, as published.
    """
    users = benchmark.users(TRAIN)
    replies = {request.key: reply for request, reply in answered}
    read = replayed(reading.written(benchmark, users), replies)
    found = []
    for user in users:
        for seen, preference, taken in _moments(user, read.states[user.id], ahead):
            count = negatives * len(taken)
            drawn = list(user.negatives) if seen == len(user.history) else []
            more = benchmark.negatives_of(user, count, seed + seen)
            drawn += [id for id in more if id not in drawn]
            pairs = [(id, True) for id in taken] + [(id, False) for id in drawn[:count]]
            found += [
                Decision(user, seen, preference, id, yes, read.summaries.get(id, ""))
                for id, yes in pairs
            ]
    return found


def _moments(user: User, state: State, ahead: int) -> Iterator[tuple[int, str, list[str]]]:
    """Yield how much of a history was seen, the preference then, and what was taken next."""
    seen = 0
    for entry in state.trace[:-1] if ahead else ():
        seen += len(entry["items"])
        yield seen, entry["text"], list(user.history[seen : seen + ahead])
    yield len(user.history), state.text or "", [user.target]


class Decisions(Source[Example]):
    """Choices as questions with their answers, of which the answers alone are supervised."""

    def __init__(
        self,
        benchmark: Benchmark,
        prompts: Prompts,
        found: Sequence[Decision],
        titles: bool = False,
    ):
        """Describe the questions.

        Args:
          titles: whether they show titles alone.
        """
        self._benchmark, self._prompts = benchmark, prompts
        self._found, self._titles = found, titles

    def __len__(self) -> int:
        return len(self._found)

    def read(self, number: int) -> Example:
        one = self._found[number]
        said = assistant("Yes" if one.taken else "No")
        name = f"{one.user.id}/{one.seen}/{one.item}"
        return Example(name, one.user.id, (*self._turns(one), said))

    def _turns(self, one: Decision) -> tuple[Turn, ...]:
        item = self._benchmark.item
        if not self._titles:
            return self._prompts.about_candidate(one.preference, item(one.item), one.summary)
        history = [item(id) for id in one.user.history[: one.seen]]
        return self._prompts.about_titles(one.user.id, history, item(one.item))


def of_users(found: Sequence[Decision], limit: int, seed: int) -> list[Decision]:
    """Return the choices of at most so many users, drawn at random; 0 is all."""
    if not limit:
        return list(found)
    users = list(dict.fromkeys(one.user.id for one in found))
    kept = set(random.Random(seed).sample(users, min(limit, len(users))))
    return [one for one in found if one.user.id in kept]
