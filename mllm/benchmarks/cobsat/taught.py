"""What the models of a study learn from: single pictures, prompts with answers, judge's questions.

**Which sequences are never taught.** A test prompt is known by its task, theta, and the words of
its shots and its query, in order. `Sequences` draws prompts at random and leaves out every one in
which the words of a test prompt, shots and query, stand next to each other in their order under the
same theta; so not even a part of a longer prompt repeats one. Test prompts are all of the lists
"default" and "ft_test", with 2, 4, 6 and 8 shots, in all ten tasks: as the lists hold places, which
are the same in all tasks, a sequence that is left out in one is left out in all. Single pictures
and captions of all 500 pairs are seen; what is new in a test prompt is which of them stand
together, in which order, and so which answer is asked for.
"""

import random
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from mllm.benchmarks.cobsat import prompts
from mllm.benchmarks.cobsat.analysis import analysis
from mllm.benchmarks.cobsat.benchmark import Benchmark
from mllm.benchmarks.cobsat.generate import PICTURES
from mllm.benchmarks.cobsat.judge import (
    PUBLISHED,
    SIDES,
    TAUGHT,
    Judge,
    judge_turns,
    number_of,
    taught_turns,
)
from mllm.benchmarks.cobsat.prompt_lists import SHOTS, Sample, samples
from mllm.benchmarks.cobsat.protocol import Asked, Protocol, first_turn
from mllm.benchmarks.cobsat.shown import Shown
from mllm.benchmarks.cobsat.tasks import TASKS, WORDS, display
from mllm.data.conversation import Example, Turn, assistant, image, user
from mllm.data.source import Source

SEEN = "seen"  # what the judge is taught and never asked: a picture in words
Places = tuple[int, ...]


class Pictures(Source[Example]):
    """Each picture of some splits by itself."""

    def __init__(self, rows: Sequence[Shown]):
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, number: int) -> Example:
        shown = self._rows[number]
        name = "/".join((*shown.pair, str(shown.view)))
        return Example(name, name, (user(image(shown.picture)), assistant(shown.caption)))


class Named(Source[Example]):
    """Conversations about single pictures: each is described, or drawn from its description."""

    def __init__(self, benchmark: Benchmark, *, size: int, pictures: int = 12, seed: int = 0):
        """Describe the conversations.

        Args:
          size: conversations. pictures: of each, drawn at random.
        """
        self._rows, self._size = benchmark.rows(PICTURES), size
        self._pictures, self._seed = pictures, seed

    def __len__(self) -> int:
        return self._size

    def read(self, number: int) -> Example:
        drawn = random.Random(f"{self._seed}/named/{number}")
        turns: list[Turn] = []
        for place in drawn.sample(range(len(self._rows)), self._pictures):
            shown = self._rows[place]
            said = image(shown.picture), shown.caption
            first, second = said if drawn.random() < 0.5 else said[::-1]
            turns += user(first), assistant(second)
        name = f"named/{number}"
        return Example(name, name, tuple(turns))


class JudgeQuestions(Source[Example]):
    """What a judge is asked about each picture of a split, with the right answers.

    What is said about one picture shares its tokens in a row. Beside the published questions stands
    what the picture shows, from which a small model learns to see.
    """

    def __init__(self, rows: Sequence[Shown], judge: Judge):
        self._rows, self._judge = rows, judge
        self._asked = [(side, "taught") for side in SIDES if set(judge.forms) & set(TAUGHT)]
        if set(judge.forms) & set(PUBLISHED):
            modes = [mode for mode in ("image", "text") if mode in judge.modes]
            self._asked += [(side, mode) for mode in modes for side in SIDES]
            self._asked.append((SEEN, "image"))

    def __len__(self) -> int:
        return len(self._rows) * len(self._asked)

    def read(self, number: int) -> Example:
        place, which = divmod(number, len(self._asked))
        shown, (side, form) = self._rows[place], self._asked[which]
        name = "/".join((*shown.pair, str(shown.view)))
        turns = (*self._question(shown, side, form), assistant(self._answer(shown, side, form)))
        return Example(f"{name}/{side}", name, turns)

    def _question(self, shown: Shown, side: str, form: str) -> tuple[Turn, ...]:
        theme, picture = shown.pair.theme, image(shown.picture)
        if side == SEEN:
            return (user(picture),)
        if form == "taught":
            return taught_turns(theme, side, picture)
        output = shown.caption if form == "text" else picture
        return judge_turns(theme, side, output, self._judge.cut)

    def _answer(self, shown: Shown, side: str, form: str) -> str:
        if side == SEEN:
            return shown.caption
        word = getattr(shown.pair, side)
        return display(word) if form == "taught" else number_of(shown.pair.theme, side, word)


class Share(NamedTuple):
    """How often a prompt is of some type and mode."""

    prompt: str
    mode: str
    weight: float


class Sequences(Source[Example]):
    """Prompts drawn at random with their right answers, made when they are read.

    A group of them shows the same shots and asks for different words, so that the shots are read
    once for all that fit into a row.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        protocol: Protocol,
        *,
        size: int,
        shots: Sequence[int] = (2, 4),
        weights: dict[str, float],
        group: int = 8,
        described: int = 4,
        seed: int = 0,
    ):
        """Describe the prompts.

        Args:
          protocol: gives the styles of the instructions, and the modes.
          size: prompts. shots: of each, one of these at random.
          weights: how often prompts are of a type.
          group: prompts that show the same shots. described: one of so many is in text mode, where
            both modes are asked.
        """
        self._benchmark, self._protocol, self._size = benchmark, protocol, size
        self._shots, self._group, self._seed = tuple(shots), group, seed
        self._described = described
        self._types, self._weights = list(weights), list(weights.values())

    def __len__(self) -> int:
        return self._size

    def read(self, number: int) -> Example:
        place, within = divmod(number, self._group)
        shared = random.Random(f"{self._seed}/{place}")
        prompt = shared.choices(self._types, self._weights)[0]
        task = TASKS[shared.choice(list(TASKS))]
        shots = shared.choice(self._shots)
        while True:
            theta = shared.randrange(10)
            order = shared.sample(range(10), 10)
            shown, rest = tuple(order[:shots]), order[shots:]
            asked = [x for x in rest if not is_tested((*shown, x), theta)]
            if asked:
                break
        mode, nth = self._mode(within)
        x = asked[nth % len(asked)]
        words = WORDS[task.x], WORDS[task.theta]
        wrong = shared.sample([w for w in range(10) if w != theta], shots + 1)
        sample = Sample(
            task,
            number,
            words[1][theta],
            tuple(words[0][one] for one in (*shown, x)),
            tuple(words[1][one] for one in wrong),
        )
        return example(Asked(sample, prompt, mode), self._benchmark, self._protocol)

    def _mode(self, within: int) -> tuple[str, int]:
        """Return the mode of a place of a group, and how many of that mode stand before it."""
        modes = self._protocol.modes
        if len(modes) == 1:
            return modes[0], within
        lap, place = divmod(within, self._described)
        if place == self._described - 1:
            return "text", lap
        return "image", lap * (self._described - 1) + place


class Samples(Source[Example]):
    """Given prompts with their right answers."""

    def __init__(self, benchmark: Benchmark, protocol: Protocol, found: Sequence[Asked]):
        self._benchmark, self._protocol, self._asked = benchmark, protocol, found

    def __len__(self) -> int:
        return len(self._asked)

    def read(self, number: int) -> Example:
        return example(self._asked[number], self._benchmark, self._protocol)


def finetuning(
    mode: str, shots: Sequence[int], types: Sequence[str], modes: Sequence[str], theme: str = ""
) -> list[Asked]:
    """Return the published prompts to fine-tune on.

    Args:
      mode: "all", the five words that ft_test leaves out, of all tasks; or "leave_one_out", the
        default list of all tasks but those of ``theme``.

    Raises:
      ValueError: an unknown mode or theme, or types that fine-tuning leaves out.
    """
    left_out = [one for one in types if one in ("misleading", "caption", "cot")]
    if left_out:
        raise ValueError(f"finetuning.types is {types!r}: fine-tuning leaves out {left_out}")
    themes = {task.theme for task in TASKS.values()}
    if mode == "leave_one_out" and theme not in themes:
        raise ValueError(f"finetuning.theme is {theme!r}, expected one of {sorted(themes)}")
    chosen = [t.id for t in TASKS.values() if mode == "all" or t.theme != theme]
    return [
        Asked(sample, prompt, said)
        for task in chosen
        for count in shots
        for sample in samples(task, count, f"ft_train_{mode}")
        for prompt in types
        for said in modes
    ]


def example(one: Asked, benchmark: Benchmark, protocol: Protocol) -> Example:
    """Return a prompt with its right answer; that of a chain of thought with an analysis before it.

    Only what the assistant says is supervised, and all of it is given while it is learned.
    """
    sample = one.sample
    turns = (first_turn(one, benchmark, protocol),)
    if one.prompt == "cot":
        said = analysis({"x": sample.task.x, "theta": sample.task.theta, "hidden": sample.theta})
        turns = prompts.after_analysis(turns[0], said, sample, one.mode)
    if one.mode == "image":
        words = protocol.drawing.words
        picture = image(benchmark.picture(*sample.target))
        answer = assistant(words, picture) if words else assistant(picture)
    else:
        answer = assistant(benchmark.caption(*sample.target))
    name = f"{sample.task.name}/{one.prompt}/{one.mode}/{sample.name}"
    return Example(name, f"{sample.task.name}/{sample.number}", (*turns, answer))


def is_tested(inputs: Places, theta: int) -> bool:
    """Return whether the words of a test prompt stand next to each other in a sequence.

    Args:
      inputs: places of the words of shots and query. theta: place of theta.
    """
    known = tested()
    return any(
        (inputs[start : start + length], theta) in known
        for length in (shots + 1 for shots in SHOTS)
        for start in range(len(inputs) - length + 1)
    )


@cache
def tested() -> frozenset[tuple[Places, int]]:
    """Return (places of the words of shots and query, place of theta) of all test prompts."""
    lists = [("default", shots) for shots in SHOTS] + [("ft_test", 2), ("ft_test", 4)]
    found = set()
    for mode, shots in lists:
        task = TASKS[1]  # lists hold places, which are the same in all tasks
        for sample in samples(task.id, shots, mode):
            inputs = tuple(WORDS[task.x].index(word) for word in sample.inputs)
            found.add((inputs, WORDS[task.theta].index(sample.theta)))
    return frozenset(found)
