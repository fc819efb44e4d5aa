"""Pack examples into rows. Examples that begin with the same content share a row, which holds that
content once and then the rest of each example as a segment.

Segment 0 is the shared prefix, segment k the rest of the k-th example, -1 padding; if the loss is
on the prefix too, it belongs to segment 1 and nothing is shared. Positions go on from the prefix in
each segment, so that loss and gradient equal those of separate rows exactly
(``mllm.ops.attention.Structure`` hides segments from each other).

R rows, T tokens, M supervised tokens, S answers.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mllm.data.tokenized import Tokenized
from mllm.registry import lookup

# A batch takes the smallest of these shares of a row's capacity that holds it: each is a program.
SHARES = (0.5, 0.75, 1.0)


def _answer(example: Tokenized) -> np.ndarray:
    return np.concatenate([np.arange(0), *(np.arange(a, b) for a, b in example.supervised)])


def _pictures(example: Tokenized) -> np.ndarray:
    shown = [np.arange(start, end) for start, end in example.drawn]
    return np.unique(np.concatenate([_answer(example), *shown]))


SUPERVISED: dict[str, Callable[[Tokenized], np.ndarray]] = {
    "answer": _answer,
    "pictures": _pictures,
    "all": lambda example: np.arange(example.prefix, len(example.ids)),
    "text": lambda example: np.arange(1, len(example.ids)),
}


@dataclass(frozen=True)
class RowShape:
    """Static capacity of a row: tokens, supervised tokens and answers.

    ``loss_on`` says what is supervised. "answer" is what assistants say; "pictures" adds every
    picture in codes, also in the shared prefix, where it counts once a row; "all" adds to "answer"
    what stands before it, but not the shared prefix. "text" is every token of the row, media too,
    but the first, which nothing predicts. A prefix that is shared would then count once for many
    answers, so "text" takes rows of one answer.

    Raises:
      ValueError: ``loss_on`` is unknown, or "text" with more than one answer per row.
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

    def places_of(self, example: Tokenized) -> np.ndarray:
        """Return the indices of the supervised tokens of an example, ascending."""
        return SUPERVISED[self.loss_on](example)

    def places_in(self, row: Sequence[Tokenized]) -> list[np.ndarray]:
        """Return ``places_of`` each example of a row; those in the prefix are of the first one."""
        first, *others = map(self.places_of, row)
        return [first, *(places[places >= row[0].prefix] for places in others)]

    def fitted(self, rows: Sequence[Sequence[Tokenized]]) -> "RowShape":
        """Return the smallest share of this capacity that holds ``rows``, one share for tokens and
        supervised tokens alike; in steps of 128 tokens if the capacity is a multiple of it, else of
        8.

        Raises:
          ValueError: the whole capacity does not hold them.
        """
        tokens = max(map(row_tokens, rows))
        supervised = max(sum(map(len, self.places_in(row))) for row in rows)
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


def row_tokens(row: Sequence[Tokenized]) -> int:
    """Return how many tokens a row of packed examples has."""
    return row[0].prefix + sum(example.length for example in row)


def round_up(count: int, multiple: int) -> int:
    """Return the smallest multiple that holds ``count``: few widths compile few programs."""
    return -(-count // multiple) * multiple


def pack(examples: Iterable[Tokenized], shape: RowShape) -> list[list[Tokenized]]:
    """Put each example, in the given order, into the fullest row that has room for it; a row holds
    examples of one role that share their prefix (best fit, Johnson et al. 1974).

    Raises:
      ValueError: an example that no row can hold.
    """
    rows: list[list[Tokenized]] = []
    # Of each key, the rows with room: number of the row, tokens used, supervised tokens used.
    open_rows: dict[tuple, list[tuple[int, int, int]]] = {}
    for example in examples:
        places = shape.places_of(example)
        supervised, own = len(places), int(np.sum(places >= example.prefix))
        if len(example.ids) > shape.tokens or supervised > shape.supervised:
            raise ValueError(
                f"example {example.name} has {len(example.ids)} tokens, {supervised} of them "
                f"supervised; a row holds {shape.tokens} and {shape.supervised}: raise rows.tokens "
                "or rows.supervised in the config"
            )
        known = open_rows.setdefault((example.key, example.role), [])
        fitting = [
            place
            for place, (_, used, taught) in enumerate(known)
            if used + example.length <= shape.tokens and taught + own <= shape.supervised
        ]
        if fitting:
            row, used, taught = known.pop(max(fitting, key=lambda place: known[place][1]))
        else:
            rows.append([])
            row, used, taught = len(rows) - 1, example.prefix, supervised - own
        rows[row].append(example)
        if len(rows[row]) < shape.answers:
            known.append((row, used + example.length, taught + own))
    return rows


def collate(
    rows: Sequence[Sequence[Tokenized]],
    count: int,
    shape: RowShape,
    roles: Mapping[str, float] | None = None,
) -> dict[str, np.ndarray]:
    """Return the arrays of ``count`` rows, the missing ones padding of weight 0; the pipeline adds
    the media.

    Args:
      roles: the number of each role; without any, 0 is written for all.

    Returns:
      tokens, positions, segments i32[R, T]; loss_mask f32[R, T]; targets, sources i32[R, M]: the
      supervised tokens and the places that predict them (T where there is none); answers i32[R, S]
      numbers of the examples (-1: none); weight, role f32[R].
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
        "role": np.zeros(count, np.float32),
    }
    for r, row in enumerate(rows):
        prefix = row[0].prefix
        batch["tokens"][r, :prefix] = row[0].ids[:prefix]
        batch["segments"][r, :prefix] = shape.loss_on == "text"
        batch["positions"][r, :prefix] = np.arange(prefix)
        taught = 0
        taken = zip(row, starts_of(row), shape.places_in(row), strict=True)
        for s, (example, start, wanted) in enumerate(taken):
            end = start + example.length
            batch["tokens"][r, start:end] = example.ids[prefix:]
            batch["segments"][r, start:end] = s + 1
            batch["positions"][r, start:end] = prefix + np.arange(example.length)
            places = np.where(wanted < prefix, wanted, wanted - prefix + start)
            batch["loss_mask"][r, places] = 1
            batch["targets"][r, taught : taught + len(places)] = places
            # The first token of a segment is predicted by the last of the prefix, not by its left
            # neighbour.
            sources = np.where(wanted == prefix, prefix - 1, places - 1)
            batch["sources"][r, taught : taught + len(places)] = sources
            batch["answers"][r, s] = example.index
            taught += len(places)
        batch["weight"][r] = 1
        batch["role"][r] = roles[row[0].role] if roles else 0
    return batch


def starts_of(row: Sequence[Tokenized]) -> list[int]:
    """Return where the segment of each example of a row begins, after the shared prefix."""
    lengths = [example.length for example in row[:-1]]
    return (row[0].prefix + np.cumsum([0, *lengths])).tolist()
