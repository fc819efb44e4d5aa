"""Questions that share an image share a row: the prefix once, then each question with its answer as
a segment.

Segment 0 is the prefix, segment k the k-th question, -1 padding; where the prefix is supervised, it
belongs to segment 1, and nothing is shared. Positions restart after the prefix
in each segment, so that loss and gradients equal those of separate rows exactly
(``mllm.ops.attention.Structure`` hides segments from each other).

R rows, T tokens, M supervised tokens, S answers.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mllm.registry import lookup


@dataclass(frozen=True)
class Example:
    """One question and answer, tokenised.

    Attributes:
      index: its number among the run's examples, by which reference log-probabilities are kept.
      image: number of the picture in the run's image table, -1 for none.
      forget: whether it belongs to what is to be unlearned.
    """

    index: int
    image: int
    forget: bool
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def length(self) -> int:
        return len(self.suffix) + len(self.answer)


# A batch takes the smallest of these shares of a row's capacity that holds it: each is a program.
SHARES = (0.5, 0.75, 1.0)

SUPERVISED: dict[str, Callable[[Example], int]] = {
    "answer": lambda example: len(example.answer),
    "all": lambda example: example.length,
    "text": lambda example: len(example.prefix) + example.length - 1,
}


@dataclass(frozen=True)
class RowShape:
    """Static capacity of a row: tokens, supervised tokens and answers.

    ``loss_on`` says what is supervised. "answer" is strict; "all" adds the question, but not the
    shared prefix of image and template. "text" is the published label mask of MLLMU-Bench: every
    token of the row, image placeholders too, but the first, which nothing predicts. A prefix that
    is shared would then count once for many answers, so "text" takes rows of one answer.

    Raises:
      ValueError: ``loss_on`` is unknown, or "text" with more than one answer a row.
    """

    tokens: int = 192
    supervised: int = 64
    answers: int = 12
    loss_on: str = "answer"

    def __post_init__(self):
        lookup(SUPERVISED, self.loss_on, "loss_on")
        if self.loss_on == "text" and self.answers != 1:
            raise ValueError(
                f"loss_on 'text' needs rows.answers = 1, found {self.answers}: the tokens of a "
                "shared prefix would be counted once for all answers of a row"
            )

    def supervised_of(self, example: Example) -> int:
        """How many of the last tokens of prefix, question and answer are supervised."""
        return SUPERVISED[self.loss_on](example)

    def fitted(self, rows: Sequence[Sequence[Example]]) -> "RowShape":
        """The smallest share of this capacity that holds ``rows``, one for tokens and supervised
        ones alike; in steps of 128 tokens where the capacity is a multiple of it, else of 8.

        Raises:
          ValueError: the whole capacity does not hold them.
        """
        tokens = max(len(row[0].prefix) + sum(e.length for e in row) for row in rows)
        supervised = max(sum(map(self.supervised_of, row)) for row in rows)
        step = 128 if self.tokens % 128 == 0 else 8
        for share in SHARES:
            room = min(round_up(math.ceil(share * self.tokens), step), self.tokens)
            taught = min(round_up(math.ceil(share * self.supervised), 8), self.supervised)
            if tokens <= room and supervised <= taught:
                return replace(self, tokens=room, supervised=taught)
        raise ValueError(
            f"a row has {tokens} tokens, {supervised} of them supervised; its capacity is "
            f"{self.tokens} and {self.supervised}"
        )


def round_up(count: int, multiple: int) -> int:
    """The smallest multiple that holds ``count``: few widths, so that few programs are compiled."""
    return -(-count // multiple) * multiple


def pack(examples: Iterable[Example], shape: RowShape) -> list[list[Example]]:
    """Put each example, in the given order, into the fullest row that has room for it; a row holds
    examples with the same prefix, image and role (best fit, Johnson et al. 1974).

    Raises:
      ValueError: an example that no row can hold.
    """
    rows: list[list[Example]] = []
    # Of each key, the rows with room: number of the row, tokens used, supervised tokens used.
    open_rows: dict[tuple, list[tuple[int, int, int]]] = {}
    for example in examples:
        supervised = shape.supervised_of(example)
        alone = len(example.prefix) + example.length
        if alone > shape.tokens or supervised > shape.supervised:
            raise ValueError(
                f"example {example.index} has {alone} tokens, {supervised} of them supervised; a "
                f"row holds {shape.tokens} and {shape.supervised}: raise rows.tokens or "
                "rows.supervised in the config"
            )
        known = open_rows.setdefault((example.prefix, example.image, example.forget), [])
        fitting = [
            place
            for place, (_, used, taught) in enumerate(known)
            if used + example.length <= shape.tokens and taught + supervised <= shape.supervised
        ]
        if fitting:
            row, used, taught = known.pop(max(fitting, key=lambda place: known[place][1]))
        else:
            rows.append([])
            row, used, taught = len(rows) - 1, len(example.prefix), 0
        rows[row].append(example)
        if len(rows[row]) < shape.answers:
            known.append((row, used + example.length, taught + supervised))
    return rows


def collate(
    rows: Sequence[Sequence[Example]], count: int, shape: RowShape
) -> dict[str, np.ndarray]:
    """Arrays of ``count`` rows, the missing ones padding of weight 0; images are added by the
    pipeline.

    Returns:
      tokens, positions, segments i32[R, T]; loss_mask f32[R, T]; targets, sources i32[R, M]: the
      supervised tokens and the places that predict them (T where there is none); answers i32[R, S]
      example numbers (-1: none); weight, forget f32[R].
    """
    tokens, supervised, answers = shape.tokens, shape.supervised, shape.answers
    batch = {
        "tokens": np.zeros((count, tokens), np.int32),
        "positions": np.zeros((count, tokens), np.int32),
        "segments": np.full((count, tokens), -1, np.int32),
        "loss_mask": np.zeros((count, tokens), np.float32),
        "targets": np.full((count, supervised), tokens, np.int32),
        "sources": np.zeros((count, supervised), np.int32),
        "answers": np.full((count, answers), -1, np.int32),
        "weight": np.zeros(count, np.float32),
        "forget": np.zeros(count, np.float32),
    }
    for r, row in enumerate(rows):
        prefix = row[0].prefix
        place = len(prefix)
        batch["tokens"][r, :place] = prefix
        batch["segments"][r, :place] = shape.loss_on == "text"
        batch["positions"][r, :place] = np.arange(place)
        taught = 0
        for s, example in enumerate(row):
            end = place + example.length
            batch["tokens"][r, place:end] = example.suffix + example.answer
            batch["segments"][r, place:end] = s + 1
            batch["positions"][r, place:end] = len(prefix) + np.arange(example.length)
            start = end - shape.supervised_of(example)
            places = np.arange(start, end)
            batch["loss_mask"][r, start:end] = 1
            batch["targets"][r, taught : taught + len(places)] = places
            # The first token of a segment is predicted by the last of the prefix, not by its left
            # neighbour.
            sources = np.where(places == place, len(prefix) - 1, places - 1)
            batch["sources"][r, taught : taught + len(places)] = sources
            batch["answers"][r, s] = example.index
            place, taught = end, taught + len(places)
        batch["weight"][r], batch["forget"][r] = 1, row[0].forget
    return batch
