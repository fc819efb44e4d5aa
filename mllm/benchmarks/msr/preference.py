"""What a user likes, in words, kept up to date block by block.

The preference after a block follows from the items of this block and the preference before it
(Ye et al., section 3.2). So a new block of a user costs one call, whatever came before.
"""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mllm.benchmarks.msr.catalogue import VALUES
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.rows import Item
from mllm.benchmarks.msr.summaries import cut
from mllm.evaluation.request import Reply, Request, Text, content_key, described
from mllm.registry import lookup

FORMS = ("recurrent", "direct", "none")
WRITERS = ("model", "template")
KEPT = 2  # values of an attribute that a template names
# How much a value that a template named before counts, in items of the block, by its place.
BEFORE = (1.5, 0.6)


@dataclass(frozen=True)
class State:
    """A preference after some blocks.

    Attributes:
      text: None before the first block.
      trace: of each block: its items, the preference after it, whether that was cut to the longest
        that is kept, the state of the reply, and the tokens of prompt and reply.
    """

    text: str | None = None
    trace: tuple[Mapping[str, Any], ...] = ()

    @property
    def blocks(self) -> int:
        """How many blocks it has read."""
        return len(self.trace)


@dataclass(frozen=True)
class Preferences:
    """How preferences are written.

    Attributes:
      form: "recurrent", block by block; "direct", all items at once; "none", of no item.
      block: items of a block.
      writer: "model", or "template", which names the values of attributes that come most.
      model: the stage whose model writes them.
      tokens: the most of an answer; the source allows 1024.
      temperature, top_p, seed: of sampling, in the source 0.6 and 0.9; 0 is greedy.
      longest: characters that are kept of an answer: prompts cannot grow from block to block.

    Raises:
      ValueError: an unknown form or writer, or a block without items.
    """

    form: str = "recurrent"
    block: int = 3
    writer: str = "model"
    model: str = "summariser"
    tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    longest: int = 2000

    def __post_init__(self):
        lookup(dict.fromkeys(FORMS), self.form, "form of preference (config.preferences.form)")
        lookup(dict.fromkeys(WRITERS), self.writer, "writer (config.preferences.writer)")
        if self.block < 1:
            raise ValueError(f"config.preferences.block is {self.block}, expected 1 or more")

    def blocks(self, history: Sequence[Any]) -> list[Sequence[Any]]:
        """Return a history in blocks, oldest first; the last one may be shorter."""
        if self.form == "none" or not history:
            return []
        size = len(history) if self.form == "direct" else self.block
        return [history[start : start + size] for start in range(0, len(history), size)]

    def request(
        self,
        state: State,
        user: str,
        items: Sequence[Item],
        summaries: Mapping[str, str],
        prompts: Prompts,
    ) -> Request:
        """Return what is asked about the next block of a user."""
        turns = prompts.about_block(
            user,
            items,
            [summaries[item.id] for item in items],
            state.text,
            single=self.form == "direct",
        )
        ask = Text(self.tokens, self.temperature, self.seed, top_p=self.top_p)
        tags = {
            "part": "preference",
            "user": user,
            "block": state.blocks + 1,
            "items": [item.id for item in items],
        }
        key = content_key("preference", user, state.blocks, described(ask), turns=turns)
        return Request(key, user, tags, turns, ask, self.model)

    def after(self, state: State, items: Sequence[Item], reply: Reply) -> State:
        """Return the preference after a block; what was before stays where there is no answer."""
        text, shortened = cut(reply.text or "", self.longest)
        tokens = [reply.extra.get(name, 0) for name in ("prompt_tokens", "reply_tokens")]
        said = {"cut": shortened, "state": reply.state, "tokens": tokens}
        return _next(state, items, text or state.text or "", said)

    def by_template(self, state: State, items: Sequence[Item], prompts: Prompts) -> State:
        """Return the preference after a block, made of the attributes of its items."""
        text = template(items, state.text, prompts.wording.start)
        said = {"cut": False, "state": "valid", "tokens": [0, 0]}
        return _next(state, items, text, said)

    def written(
        self,
        histories: Mapping[str, Sequence[Item]],
        summaries: Mapping[str, str],
        prompts: Prompts,
        begin: Mapping[str, State] | None = None,
    ) -> Generator[list[Request], list[Reply], dict[str, State]]:
        """Yield what is asked about the blocks of users, the same block of all users at a time, and
        return their preferences.

        Args:
          histories: of each user, oldest first; with ``begin``, what came since.
          begin: preferences of users who were read before; a user who is not in it is new.
        """
        states = {user: (begin or {}).get(user, State()) for user in histories}
        waiting = {user: self.blocks(history) for user, history in histories.items()}
        while waiting := {user: blocks for user, blocks in waiting.items() if blocks}:
            first = {user: blocks[0] for user, blocks in waiting.items()}
            if self.writer == "template":
                for user, items in first.items():
                    states[user] = self.by_template(states[user], items, prompts)
            else:
                requests = [
                    self.request(states[user], user, items, summaries, prompts)
                    for user, items in first.items()
                ]
                replies = yield requests
                for (user, items), reply in zip(first.items(), replies, strict=True):
                    states[user] = self.after(states[user], items, reply)
            waiting = {user: blocks[1:] for user, blocks in waiting.items()}
        return states


def _next(state: State, items: Sequence[Item], text: str, said: Mapping[str, Any]) -> State:
    entry = {"items": [item.id for item in items], "text": text, **said}
    return State(text, (*state.trace, entry))


def template(items: Sequence[Item], before: str | None, start: str) -> str:
    """Return a preference made of the attributes of the items of a block, and of the one before.

    For each attribute it names the ``KEPT`` values that count most: each item of the block counts
    1, a value that was named before counts ``BEFORE``, and of equal ones that of the latest item is
    first.

    Raises:
      ValueError: an item has no attributes that count.
    """
    known = _read(before, start)
    groups = []
    for place, axis in enumerate(axes_of(items)):
        values = [item.attributes[axis] for item in items]
        counts: Counter = Counter(values)
        older = known[place] if place < len(known) else []
        for value, weight in zip(older, BEFORE, strict=False):
            counts[value] += weight
        latest = {value: number for number, value in enumerate(values, 1)}
        ranked = sorted(counts, key=lambda v: (-counts[v], -latest.get(v, 0), v))
        groups.append(", ".join(ranked[:KEPT]))
    return f"{start} {'; '.join(groups)}."


def in_common(preference: str, item: Item, start: str) -> str:
    """Return how many attributes of an item a preference by template names, and which: "-" stands
    where it names another value.

    The number comes first, so that a model has to compare all attributes before it says a word.
    """
    pairs = zip(_read(preference, start), axes_of([item]), strict=True)
    values = [(item.attributes[axis], named) for named, axis in pairs]
    said = [value if value in named else "-" for value, named in values]
    return f"{len(said) - said.count('-')}: {', '.join(said)}"


def axes_of(items: Sequence[Item]) -> tuple[str, ...]:
    """Return the attributes that taste is about and that all items have.

    Raises:
      ValueError: there are none.
    """
    axes = tuple(axis for axis in VALUES if all(axis in item.attributes for item in items))
    if not axes:
        raise ValueError(
            f"item {items[0].id!r} has no attributes to make a preference of: set "
            "config.preferences.writer to 'model'"
        )
    return axes


def _read(before: str | None, start: str) -> list[list[str]]:
    if not before:
        return []
    said = before.removeprefix(start).strip().removesuffix(".")
    return [[value.strip() for value in group.split(",")] for group in said.split(";")]
