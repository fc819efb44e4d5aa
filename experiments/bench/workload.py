"""What both sides of ``experiments.bench`` get: the same questions, pictures and answers, as rows
of ids for the peer and as batches for our code, and the same clock.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mllm.benchmarks import get_benchmark
from mllm.data.packing import RowShape, collate, round_up
from mllm.data.rows import lay_out
from mllm.data.tokenized import Tokenized
from mllm.models.media import normalise

COMPARED = 4  # examples that both sides compute before anything is timed
COMPARED_TOKENS = 8  # of a greedy reply
OPTIONS = 4  # of a question


@dataclass(frozen=True)
class Figure:
    """Work per second: median, least and most over the repetitions; how it was done; the most bytes
    of the device in use, if known; the seconds of the first call, which compiles.
    """

    rate: float
    least: float
    most: float
    setting: str = ""
    memory: int | None = None
    first: float | None = None


def timed(
    once: Callable,
    wait: Callable,
    *,
    units: int,
    repeats: int,
    first: Callable | None = None,
    **how,
) -> Figure:
    """Time ``wait(once())``, which does ``units`` of work, after an untimed call of ``first``, by
    default ``once``.
    """
    seconds = []
    for call in [first or once, *[once] * repeats]:
        began = time.perf_counter()
        wait(call())
        seconds.append(time.perf_counter() - began)
    compiling, *seconds = seconds
    median = statistics.median(seconds)
    found = units / median, units / max(seconds), units / min(seconds)
    return Figure(*found, first=compiling, **how)


@dataclass(frozen=True)
class Pair:
    """A question about a picture and its answer: ids up to the picture, of the question, of the
    answer.
    """

    index: int
    image: int
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens after the prefix."""
        return len(self.suffix) + len(self.answer)

    def tokenized(self) -> Tokenized:
        """Return the pair as rows are packed from, its picture left out."""
        ids = np.array([*self.prefix, *self.suffix, *self.answer], np.int32)
        return Tokenized(
            index=self.index,
            name=f"pair {self.index}",
            role="",
            ids=ids,
            media=np.zeros(0, np.int64),
            spans=np.zeros((0, 4), np.int32),
            supervised=np.array([[len(ids) - len(self.answer), len(ids)]], np.int32),
            prefix=len(self.prefix),
        )


class Workload:
    """The questions of a prepared benchmark; nothing here reads the weights of ``loaded``.

    Attributes:
      published: prompts that the peer answers one at a time.
      evaluations: protocol -> (number of questions, what makes them).
    """

    def __init__(self, config, loaded, benchmark):
        self.bench, self.lora, self.loaded = config.bench, config.lora, loaded
        system = get_benchmark(config.benchmark.name)
        chosen = system.workload(config, benchmark, loaded.family)
        processor, self.pictures, self.examples = loaded.processor, [], []
        numbers: dict[str, int] = {}
        for example in chosen.taught:
            encoded = processor.encode(example.turns, where=example.id)
            if not encoded.media:
                continue
            (medium,), last = encoded.media, encoded.spans[-1]
            if medium.digest not in numbers:
                numbers[medium.digest] = len(self.pictures)
                self.pictures.append(processor.prepare(medium, example.id))
            end, answer = last.start + last.length, encoded.supervised[0][0]
            parts = encoded.ids[:end], encoded.ids[end:answer], encoded.ids[answer:]
            self.examples.append(Pair(len(self.examples), numbers[medium.digest], *parts))
        self.published, self.evaluations = chosen.published, chosen.evaluations

    @property
    def compared(self) -> list[Pair]:
        """Return examples about one picture."""
        return self.examples[:COMPARED]

    def sizes(self, shared: bool) -> tuple[int, int, int]:
        """Return (rows of our step, pairs of a row, tokens of a pair): pairs that share a picture,
        or one pair per row.
        """
        bench = self.bench
        if shared:
            return bench.rows, bench.pairs, bench.pair_tokens
        return bench.single_rows, 1, bench.single_tokens

    def rows(self, count: int, pairs: int, tokens: int) -> list[list[Pair]]:
        """Return ``count`` rows of ``pairs`` examples about one picture, each of ``tokens`` tokens
        after the prefix.
        """
        by_picture = defaultdict(list)
        for example in self.examples:
            by_picture[example.image].append(_lengthened(example, tokens))
        groups = list(by_picture.values())
        return [
            [group[(row // len(groups) * pairs + pair) % len(group)] for pair in range(pairs)]
            for row in range(count)
            for group in [groups[row % len(groups)]]
        ]

    def decoded(self) -> Pair:
        """Return the question that replies are written to."""
        chosen = self.examples[0]
        suffix = (chosen.suffix * self.bench.prompt_tokens)[: self.bench.prompt_tokens]
        return replace(chosen, suffix=suffix)

    def row_shape(self, rows: list[list[Pair]]) -> RowShape:
        """Return the capacity that rows fill, for long rows in steps of 128 tokens, as in a run."""
        tokens = max(len(row[0].prefix) + sum(e.length for e in row) for row in rows)
        taught = max(sum(len(e.answer) for e in row) for row in rows)
        tokens = round_up(tokens, 128 if tokens > 256 else 8)
        return RowShape(tokens, taught, max(map(len, rows)))

    def collated(self, rows: list[list[Pair]]) -> dict[str, np.ndarray]:
        """Return the batch of packed rows, without pictures."""
        tokenized = [[pair.tokenized() for pair in row] for row in rows]
        return collate(tokenized, len(rows), self.row_shape(rows))

    def laid_out(self, rows: list[list[int]], examples: list[Pair]) -> dict[str, np.ndarray]:
        """Return the batch of whole rows of ids, row i with the picture of example i."""
        loaded = self.loaded
        return lay_out(
            rows,
            [[self.pictures[example.image]] for example in examples],
            image_id=loaded.image_id,
            image_tokens=loaded.config.image_tokens,
            patch=loaded.config.vision.patch_size,
        )

    def pixels(self, picture) -> np.ndarray:
        """Return normalised pixels float32[3, H, W]."""
        return np.asarray(normalise(self.loaded.config, picture.tiles[0])).transpose(2, 0, 1)

    def for_peer(self, examples: list[Pair]) -> tuple[list, list, list]:
        """Return (prompts, answers, pixels), one each."""
        prompts = [[*example.prefix, *example.suffix] for example in examples]
        answers = [list(example.answer) for example in examples]
        return prompts, answers, [self.pixels(self.pictures[e.image]) for e in examples]


def _lengthened(example: Pair, tokens: int) -> Pair:
    """Return the example, its question repeated or cut until it has that many tokens in all."""
    room = max(1, tokens - len(example.answer))
    return replace(example, suffix=(example.suffix * room)[:room])
