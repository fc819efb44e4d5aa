"""The pictures of training rows, read and prepared when a batch is made.

Pictures that were used last stay at hand; a run may show more of them than memory holds.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from mllm.data.conversation import Example, Media
from mllm.data.images import Picture
from mllm.data.packing import round_up, starts_of
from mllm.data.processor import Processor
from mllm.data.rows import (
    empty_media,
    instruction_room,
    place_instructions,
    place_offsets,
)
from mllm.data.tokenized import Tokenized
from mllm.data.views import Viewer, views_named


class Shown(NamedTuple):
    """One medium in a row.

    Attributes:
      row: number of the row. example: what shows it. medium: its number in that example.
      slots: index in the row of the first token of the run of each of its tiles. lengths: the
        tokens of these runs.
    """

    row: int
    example: Tokenized
    medium: int
    slots: list[int]
    lengths: list[int]

    @property
    def instruction(self) -> np.ndarray:
        """i32[q], ids of the instruction under which it is read."""
        return self.example.instructions[self.medium]


@dataclass
class Pictures:
    """What the encoder sees of the pictures of a run.

    Attributes:
      processor: prepares them. augmented: which random views are shown instead of what it would
        show, if any (``mllm.data.views.views_named``).
      most, height, width: tiles of the examples that show the most of them, and a size in pixels
        that holds every tile: one program for the whole run.
      made: what frozen encoders make of each picture, float[tiles, ...] by its number, or None.
        Batches then hold it instead of ``values``, under the name ``made_as``.
      room: for the tokens of an instruction, 0 where no picture is read under one.
      spread: tokens of a tile, if they do not follow each other; otherwise 0.
      offsets: ``Picture.offsets`` of each picture that has them, by its content number; known
        where ``made`` is.
    """

    processor: Processor
    most: int
    height: int
    width: int
    augmented: bool | str = False
    made: Mapping[int, np.ndarray] | None = None
    made_as: str = "tokens"
    room: int = 0
    spread: int = 0
    offsets: dict[int, np.ndarray] = field(default_factory=dict)
    _viewer: Viewer = field(init=False)

    def __post_init__(self):
        self._viewer = Viewer(self.processor, views_named(self.augmented))

    @classmethod
    def of(
        cls,
        examples: Sequence[Tokenized],
        source: Sequence[Example],
        processor: Processor,
        *,
        patch: int = 1,
        augmented: bool | str = False,
    ) -> "Pictures | None":
        """Find how much room the pictures of a run take; None if there are none.

        Args:
          patch: heights and widths are padded to a multiple of this.
        """
        most = max((_tiles(example) for example in examples), default=0)
        if not most:
            return None
        height = width = 0
        seen = set()
        for example in examples:
            for number, name in example.of_kind("image"):
                if name not in seen:
                    seen.add(name)
                    read = partial(media_of, source, example, number)
                    size = processor.tile_size(read, f"example {example.name}")
                    height, width = max(height, size[0]), max(width, size[1])
        height, width = round_up(height, patch), round_up(width, patch)
        config = processor.config
        spread = config.image_tokens if config.transform == "anyres" else 0
        room = 0
        if config.instructed:
            room = instruction_room(ids for example in examples for ids in example.instructions)
        return cls(processor, most, height, width, augmented, spread=spread, room=room)

    def all(
        self,
        examples: Sequence[Tokenized],
        source: Sequence[Example],
        chosen: Container[int] | None = None,
    ) -> Iterator[tuple[int, Picture]]:
        """Yield (number, picture) of each picture of a run, once, in order.

        Args:
          chosen: numbers of those that are wanted; None takes all.
        """
        seen = set()
        for example in examples:
            for medium, number in example.of_kind("image"):
                if number not in seen and (chosen is None or number in chosen):
                    seen.add(number)
                    read = partial(media_of, source, example, medium)
                    yield number, self.processor.prepared(number, read, f"example {example.name}")

    def lay_out(
        self,
        rows: Sequence[Sequence[Tokenized]],
        count: int,
        source: Sequence[Example],
        rng: np.random.Generator,
    ) -> dict[str, np.ndarray]:
        """Return the images of packed rows.

        Args:
          count: rows of the batch. source: the examples with their media. rng: of random views.

        Returns:
          values u8[R, I, H, W, 3], or tokens float[R, I, N, D] or features float[R, I, F]; slots,
          lengths i32[R, I], the first token and the number of tokens of each (-1 and 0: none);
          extents i32[R, I, 2]; offsets i32[R, I, N] where the tokens of a tile do not follow each
          other; and instructions i32[R, I, Q] where pictures are read under them.
        """
        shown = [one for r, row in enumerate(rows) for one in shown_in(r, row, "image")]
        taken = np.zeros(count, int)
        for one in shown:
            taken[one.row] += len(one.slots)
        tiles = round_up(max(int(taken.max()), 1), self.most)
        shape, dtype = (self.height, self.width, 3), np.dtype(np.uint8)
        if self.made is not None:
            known = next(iter(self.made.values()))
            shape, dtype = known.shape[1:], known.dtype
        laid = empty_media(count, tiles, shape, dtype, self.spread)
        taken[:] = 0
        for one in shown:
            place = slice(taken[one.row], taken[one.row] + len(one.slots))
            laid["slots"][one.row, place], laid["lengths"][one.row, place] = one.slots, one.lengths
            taken[one.row] = place.stop
            if self.made is not None:
                number = int(one.example.pictures[one.medium])
                laid["values"][one.row, place] = self.made[number]
                offsets = self.offsets.get(number)
            else:
                picture = self._seen(one, source, rng)
                _, height, width, _ = picture.tiles.shape
                laid["values"][one.row, place, :height, :width] = picture.tiles
                laid["extents"][one.row, place] = picture.extents
                offsets = picture.offsets
            if offsets is not None:
                place_offsets(laid, one.row, place, offsets)
        if self.made is not None:
            laid[self.made_as] = laid.pop("values")
        if self.room:
            under = [ids for one in shown for ids in [one.instruction] * len(one.slots)]
            place_instructions(laid, under, self.room)
        return laid

    def _seen(self, one: Shown, source: Sequence[Example], rng: np.random.Generator) -> Picture:
        """Return a picture, or a random view of it."""
        example, number = one.example, int(one.example.pictures[one.medium])
        read = partial(media_of, source, example, one.medium)
        return self._viewer.see(number, read, rng, f"example {example.name}")


def _tiles(example: Tokenized) -> int:
    """Return how many tiles the pictures of an example have."""
    shown = [medium for medium, _ in example.of_kind("image")]
    return int(example.spans[np.isin(example.spans[:, 2], shown), 3].sum())


def media_of(source: Sequence[Example], example: Tokenized, number: int) -> Media:
    """Return the medium of a number of an example."""
    media = [part for turn in source[example.index].turns for part in turn.media]
    return media[number]


def shown_in(number: int, row: Sequence[Tokenized], kind: str) -> list[Shown]:
    """Return the media of a kind in a packed row, in the order of their places: those of the shared
    prefix once, then those of each segment.
    """
    prefix, found = row[0].prefix, []
    for segment, (example, start) in enumerate(zip(row, starts_of(row), strict=True)):
        for medium, _ in example.of_kind(kind):
            spans = example.spans[example.spans[:, 2] == medium]
            in_prefix = len(spans) and spans[0, 0] < prefix
            if not len(spans) or (in_prefix and segment > 0):
                continue
            shift = 0 if in_prefix else start - prefix
            starts, lengths = np.repeat(spans[:, :2] + [shift, 0], spans[:, 3], axis=0).T.tolist()
            found.append(Shown(number, example, medium, starts, lengths))
    return found
