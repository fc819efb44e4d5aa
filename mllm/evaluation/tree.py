"""What prompts share, found by their content.

Two prompts share as far as their ids and media agree (``Encoded.content``). Prompts that agree
through the end of their last medium are a unit, whose media are read once. Units with a long common
beginning (a system prompt, worked examples) are a family, whose root is read once.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mllm.data.encoded import Encoded
from mllm.evaluation.request import Choices, Text

LEAST = 64  # tokens that a family must share beyond the family around it: reading a root has a cost
SHORT = 64  # tokens; replies of at most as many get the same room, and so share a program
PAYS = 1000  # rows saved that are worth programs of their own

Signature = tuple  # asks of equal signature are answered by one program


@dataclass(frozen=True)
class Asked:
    """What is asked of a prompt.

    Attributes:
      keys: of the requests that ask it.
      choices: ids of the texts of ``Choices``.
    """

    ask: Choices | Text
    keys: tuple[str, ...]
    choices: tuple[tuple[int, ...], ...] = ()

    @property
    def room(self) -> int:
        """The most tokens that follow the prompt."""
        return self.ask.limit if isinstance(self.ask, Text) else max(map(len, self.choices))

    @property
    def size(self) -> int:
        """Slots of everything that may follow the prompt: all choices share its row."""
        return self.ask.limit if isinstance(self.ask, Text) else sum(map(len, self.choices))

    @property
    def signature(self) -> Signature:
        """What decides whether two asks can be answered together."""
        if isinstance(self.ask, Choices):
            return ("tokens" if self.ask.by_token else "choices", int(self.ask.ended))
        return ("text", self.ask.limit, int(self.ask.temperature > 0))


@dataclass(frozen=True)
class Prompt:
    """A conversation and everything that is asked of it, in the order of the signatures."""

    encoded: Encoded
    asks: tuple[Asked, ...]

    @property
    def kind(self) -> tuple[Signature, ...]:
        """Prompts of equal kind are read and asked together."""
        return tuple(asked.signature for asked in self.asks)

    @property
    def length(self) -> int:
        return len(self.encoded.ids)

    def choices(self, numbers: Sequence[int]) -> list[tuple[int, ...]]:
        """Return the ids of all choices of the asks of these numbers."""
        return [choice for number in numbers for choice in self.asks[number].choices]

    @property
    def keys(self) -> set[str]:
        return {key for asked in self.asks for key in asked.keys}

    @cached_property
    def media_end(self) -> int:
        """Tokens through the end of the last medium; 0 where there is none."""
        spans = self.encoded.spans
        return spans[-1].start + spans[-1].length if spans else 0

    @cached_property
    def trunk(self) -> tuple[int, ...]:
        """The content that the root of a family may take.

        It leaves the last medium to the unit, and to a prompt without media two tokens of its own.
        """
        spans = self.encoded.spans
        if not spans:
            return self.encoded.content[: max(self.length - 2, 0)]
        start = next(span.start for span in spans if span.media == spans[-1].media)
        return self.encoded.content[:start]


def answered_together(kind: tuple[Signature, ...]) -> list[tuple[list[int], list[int]]]:
    """Return the numbers of the asks that one program answers, for each program of a kind: all
    choices and the first reply, then each other reply, then choices by token, each by itself.
    """
    scored, written, by_token = (
        [number for number, signature in enumerate(kind) if signature[0] == name]
        for name in ("choices", "text", "tokens")
    )
    replies = [[number] for number in written] or [[]] * bool(scored)
    programs = [(scored if place == 0 else [], numbers) for place, numbers in enumerate(replies)]
    return [*programs, *(([number], []) for number in by_token)]


class Rooms:
    """The room for the tokens of replies.

    Kinds that differ in the limits of short replies alone get that of the longest of them.
    """

    def __init__(self, prompts: Iterable[Prompt]):
        self._short: dict[tuple, int] = {}
        for prompt in prompts:
            form, limits = _form(prompt.kind), (ask.limit for ask in _texts(prompt))
            short = (limit for limit in limits if limit <= SHORT)
            self._short[form] = max([self._short.get(form, 0), *short])

    def of(self, prompt: Prompt, ask: Text) -> int:
        """Return the room for a reply to a prompt."""
        return self._short[_form(prompt.kind)] if ask.limit <= SHORT else ask.limit

    def slots(self, prompt: Prompt) -> int:
        """Return how many slots a prompt takes with its choices or its longest reply."""
        choices = sum(asked.size for asked in prompt.asks if asked.choices)
        return prompt.length + max([choices, *(self.of(prompt, ask) for ask in _texts(prompt))])


def _texts(prompt: Prompt) -> list[Text]:
    return [asked.ask for asked in prompt.asks if isinstance(asked.ask, Text)]


def _form(kind: tuple[Signature, ...]) -> tuple:
    """Return a kind without the limits of its short replies."""
    return tuple(
        (name, *rest) if name != "text" or rest[0] > SHORT else (name, *rest[1:])
        for name, *rest in kind
    )


@dataclass(frozen=True)
class Unit:
    """Prompts that agree through the end of their last medium, or one prompt without media."""

    prompts: tuple[Prompt, ...]

    @property
    def first(self) -> Prompt:
        return self.prompts[0]

    @property
    def end(self) -> int:
        """Tokens that the prompts share; 0 where there are no media."""
        return self.first.media_end

    @property
    def longest(self) -> int:
        return max(prompt.length for prompt in self.prompts)

    @property
    def keys(self) -> set[str]:
        return {key for prompt in self.prompts for key in prompt.keys}

    @property
    def rows(self) -> int:
        """The most prompts of one kind."""
        return max(Counter(prompt.kind for prompt in self.prompts).values())

    def of(self, kind: tuple[Signature, ...]) -> list[Prompt]:
        """Return the prompts of a kind."""
        return [prompt for prompt in self.prompts if prompt.kind == kind]


@dataclass(frozen=True)
class Family:
    """Units whose first ``root`` tokens are the same and are read once."""

    root: int
    units: tuple[Unit, ...]

    @property
    def shown(self) -> list[list[Unit]]:
        """Units with media, by length, in lists of units that have about as many prompts.

        The units of a list are given as many rows as the largest of them.
        """
        units = [unit for unit in self.units if unit.end]
        steps = [max((unit.rows for unit in units), default=1)]
        while steps[-1] > 1:
            steps.append(-(-steps[-1] // 2))
        found, waiting = [], sorted(units, key=lambda unit: unit.longest)
        for step, larger in zip(reversed(steps), [*reversed(steps[:-1]), 0], strict=True):
            fitting = [unit for unit in waiting if unit.rows <= step]
            if fitting and (not larger or (larger - step) * len(fitting) >= PAYS):
                found.append(fitting)
                waiting = [unit for unit in waiting if unit.rows > step]
        return found

    @property
    def plain(self) -> list[list[Prompt]]:
        """Prompts without media, by length, in lists of one kind."""
        found: dict[tuple[Signature, ...], list[Prompt]] = {}
        for unit in self.units:
            if not unit.end:
                found.setdefault(unit.first.kind, []).append(unit.first)
        return [sorted(kind, key=lambda prompt: prompt.length) for kind in found.values()]


def grow(prompts: Sequence[Prompt]) -> list[Family]:
    """Return the families of all prompts, in the order of their first prompt.

    What comes back follows from the prompts and their order alone.

    Args:
      prompts: of distinct content.
    """
    units = _units(prompts)
    order = sorted(range(len(units)), key=lambda i: (units[i].first.trunk, i))
    trunks = [units[i].first.trunk for i in order]
    members: dict[tuple[int, int], list[int]] = {}  # by first place in the order, and root
    waiting = [(0, len(order), (0, 0))] if order else []
    while waiting:
        start, stop, family = waiting.pop()
        # The trunks are sorted: what the first and the last share, all between them do.
        shared = common(trunks[start], trunks[stop - 1])
        if stop - start > 1 and shared - family[1] >= LEAST:
            family = start, shared
        place = start
        while place < stop:
            after = place + 1
            if len(trunks[place]) > shared:
                token = trunks[place][shared]
                while after < stop and trunks[after][shared] == token:
                    after += 1
            if after - place > 1:
                waiting.append((place, after, family))
            else:
                members.setdefault(family, []).append(order[place])
            place = after
    families = [
        Family(root, tuple(units[i] for i in sorted(found)))
        for (_, root), found in sorted(members.items(), key=lambda item: min(item[1]))
    ]
    return [Family(0, family.units) if len(family.units) == 1 else family for family in families]


def _units(prompts: Sequence[Prompt]) -> list[Unit]:
    """Return the units of prompts, in the order of their first prompt."""
    found: dict[object, list[Prompt]] = {}
    for number, prompt in enumerate(prompts):
        end = prompt.media_end
        found.setdefault(prompt.encoded.content[:end] if end else number, []).append(prompt)
    return [Unit(tuple(unit)) for unit in found.values()]


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two sequences begin with alike."""
    for place, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return place
    return min(len(first), len(second))
