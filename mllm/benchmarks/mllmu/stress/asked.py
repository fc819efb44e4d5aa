"""Which questions every attack asks: multiple choice about people to forget and to retain."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mllm.benchmarks.mllmu.schema import Profile, Question
from mllm.benchmarks.mllmu.sets import FORGET, RETAIN
from mllm.benchmarks.mllmu.strict import Item, strict_items

MOST = {FORGET: 60, RETAIN: 20}  # multiple choices of each set
MOST_BLANKS = 36  # gap texts about people to forget
Value = TypeVar("Value")


@dataclass(frozen=True)
class Asked:
    """A question, and what attacks need to ask it otherwise.

    Attributes:
      item: the question, and the picture that it is asked about.
      person: whom it is about.
      test: the same person with the wordings and pictures of the test set, None without.
      before: a question about another person, who is to be retained, without a picture.
    """

    item: Item
    person: Profile
    test: Profile | None = None
    before: Question | None = None

    @property
    def question(self) -> Question:
        """The question itself."""
        return self.item.question

    @property
    def name(self) -> str:
        """What names it in every attack."""
        q = self.question
        return f"{self.item.set}/{q.profile}/{q.task}/{q.modality}/{q.index}"

    @property
    def described(self) -> dict[str, Any]:
        """What a report reads of it, as JSON values."""
        one = self.question
        return {"set": self.item.set, "profile": one.profile, "modality": one.modality}


def multiple_choices(
    sets: Mapping[str, Sequence[Profile]], tests: Iterable[Profile] = ()
) -> list[Asked]:
    """Return the multiple choices that attacks ask, evenly spaced over each set.

    Args:
      sets: people by ``FORGET`` and ``RETAIN``. tests: their rows of the test set.
    """
    known = {profile.id: profile for profile in tests}
    items = {name: _of_task(profiles, name, "classification") for name, profiles in sets.items()}
    earlier = [item.question for item, _ in items[RETAIN] if item.picture is None]
    found = []
    for name, pairs in items.items():
        for number, (item, person) in enumerate(evenly(pairs, MOST[name])):
            before = _other(earlier, number, person.id)
            found.append(Asked(item, person, known.get(person.id), before))
    return found


def blanks(people: Sequence[Profile]) -> list[Asked]:
    """Return the gap texts about people to forget that are asked many times."""
    pairs = _of_task(people, FORGET, "cloze")
    return [Asked(item, person) for item, person in evenly(pairs, MOST_BLANKS)]


def evenly(values: Sequence[Value], most: int) -> list[Value]:
    """Return at most so many values, evenly spaced, from the first on."""
    count = min(len(values), most)
    return [values[number * len(values) // count] for number in range(count)]


def _of_task(people: Sequence[Profile], name: str, task: str) -> list[tuple[Item, Profile]]:
    return [
        (item, person)
        for person in people
        for item in strict_items({name: [person]})
        if item.question.task == task
    ]


def _other(questions: Sequence[Question], number: int, person: str) -> Question | None:
    """Return a question about somebody else, another one for each number."""
    others = [one for one in questions if one.profile != person]
    return others[number % len(others)] if others else None
