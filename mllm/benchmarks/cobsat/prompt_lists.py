"""The published prompt lists, drawn again from their seed, and the samples made of them.

The lists of CoBSAT's repository come from CPython's ``random``, seeded once; so they are drawn
here instead of being shipped. A record holds places in the vocabularies of `tasks.WORDS`; which
vocabularies is up to the task.
"""

import math
import random
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice, permutations
from typing import NamedTuple

from mllm.benchmarks.cobsat.tasks import TASKS, WORDS, Pair, Task, display
from mllm.registry import lookup

SEED = 123
RECORDS = 1000
FT_TEST_RECORDS = 250  # of the drawn list, how many are asked
SHOTS = (2, 4, 6, 8)
MOST_SHOTS = {"default": 8, "ft_test": 4, "ft_train_all": 4, "ft_train_leave_one_out": 8}
MODES = tuple(MOST_SHOTS)

_SEEN, _UNSEEN = range(5), range(5, 10)  # words that fine-tuning on all themes sees, and the rest


class Record(NamedTuple):
    """Places of the words of a prompt, in the order in which they are used.

    Attributes:
      x: in the task's vocabulary of inputs. theta: in that of what the pictures share.
    """

    x: list[int]
    theta: list[int]


@dataclass(frozen=True)
class Sample:
    """One prompt of a task: what is written, what the pictures share, and what is right.

    Attributes:
      task: its task. number: its place in the list of its mode, from 0.
      theta: the word (of the vocabulary) that all its pictures share.
      inputs: the words of the shots, then that of the query.
      wrong: the words that the prompt type "misleading" writes next to the inputs, none of them
        theta; empty where the list gives none.
    """

    task: Task
    number: int
    theta: str
    inputs: tuple[str, ...]
    wrong: tuple[str, ...] = ()

    @property
    def shots(self) -> int:
        """The number of pictures that are shown."""
        return len(self.inputs) - 1

    @property
    def query(self) -> str:
        """The word whose picture is asked for."""
        return self.inputs[-1]

    @property
    def shown(self) -> tuple[Pair, ...]:
        """What the pictures of the shots show."""
        return tuple(self.task.pair(x, self.theta) for x in self.inputs[:-1])

    @property
    def target(self) -> Pair:
        """What the right answer shows."""
        return self.task.pair(self.query, self.theta)

    @property
    def name(self) -> str:
        """The published name of its output files, without the suffix."""
        return "_".join([str(self.number), self.theta, *map(display, self.inputs)])


def prompt_list(mode: str) -> list[Record]:
    """Return the published prompt list of a data mode.

    Args:
      mode: "default" and "ft_train_leave_one_out", 1000 records of ten places; "ft_test", 1000
        records of the places 5 to 9, of which the first 250 are asked; "ft_train_all", the one
        record of the places 0 to 4, whose ordered selections are the samples.

    Raises:
      ValueError: an unknown mode.
    """
    lookup(MOST_SHOTS, mode, "data mode")
    if mode == "ft_train_all":
        return [Record(list(_SEEN), list(_SEEN))]
    places = _UNSEEN if mode == "ft_test" else range(10)
    rng = random.Random(SEED)
    x, theta = list(places), list(places)
    records = []
    for _ in range(RECORDS):
        rng.shuffle(x)
        rng.shuffle(theta)
        records.append(Record(list(x), list(theta)))
    return records


def count(mode: str, shots: int) -> int:
    """Return the number of samples of a task.

    Raises:
      ValueError: an unknown mode, or more or fewer shots than it has words for.
    """
    _require_shots(mode, shots)
    if mode == "ft_train_all":
        return math.perm(len(_SEEN), shots + 1) * len(_SEEN)
    return FT_TEST_RECORDS if mode == "ft_test" else RECORDS


def sample(task: int, shots: int, number: int, mode: str = "default") -> Sample:
    """Return one sample; `samples` returns all of a task at less cost.

    Raises:
      ValueError: an unknown task or mode, a number of shots that the mode has no words for, or a
        sample that it does not have.
    """
    if not 0 <= number < count(mode, shots):
        raise ValueError(
            f"sample {number}: mode {mode!r} has the samples 0 to {count(mode, shots) - 1} "
            f"with {shots} shots"
        )
    return samples(task, shots, mode)[number]


def samples(task: int, shots: int, mode: str = "default") -> list[Sample]:
    """Return the samples of a task in the order of its list.

    Args:
      task: its ID, 1 to 10.
      shots: pictures that are shown.
      mode: one of `MODES`.

    Raises:
      ValueError: an unknown task or mode, or a number of shots that the mode has no words for.
    """
    chosen = _task(task)
    x_words, theta_words = WORDS[chosen.x], WORDS[chosen.theta]
    made = []
    for number, (x, theta, wrong) in enumerate(_places(shots, mode)):
        inputs = tuple(x_words[place] for place in x)
        others = tuple(theta_words[place] for place in wrong)
        made.append(Sample(chosen, number, theta_words[theta], inputs, others))
    return made


def distinct(mode: str, shots: int) -> int:
    """Return how many of a task's samples differ: in any of the ten, as it depends on places."""
    return len({(x, theta) for x, theta, _ in _places(shots, mode)})


def duplicates(mode: str, shots: int) -> dict[int, list[int]]:
    """Return the samples that repeat an earlier one: their numbers by the number of the first."""
    first: dict[tuple, int] = {}
    repeated: dict[int, list[int]] = {}
    for number, (x, theta, _) in enumerate(_places(shots, mode)):
        earliest = first.setdefault((x, theta), number)
        if earliest != number:
            repeated.setdefault(earliest, []).append(number)
    return repeated


@cache
def _places(shots: int, mode: str) -> list[tuple[tuple[int, ...], int, tuple[int, ...]]]:
    """Return (places of the inputs, place of theta, places of the misleading words) of each."""
    size, records = count(mode, shots), prompt_list(mode)
    if mode == "ft_train_all":
        (record,) = records
        orders = permutations(record.x, shots + 1)
        return [(x, theta, ()) for x in orders for theta in record.theta]
    places = []
    for record in records[:size]:
        # Theta has the place after the query's; ft_test starts its five places over again.
        *wrong, right = islice(cycle(record.theta), shots + 2)
        places.append((tuple(record.x[: shots + 1]), right, () if right in wrong else tuple(wrong)))
    return places


def _require_shots(mode: str, shots: int) -> None:
    most = lookup(MOST_SHOTS, mode, "data mode")
    if not 1 <= shots <= most:
        raise ValueError(f"{shots} shots: data mode {mode!r} has words for 1 to {most} shots")


def _task(id: int) -> Task:
    if id not in TASKS:
        raise ValueError(f"unknown task {id!r} (known: 1 to {len(TASKS)})")
    return TASKS[id]
