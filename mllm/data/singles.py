"""Batches of single pictures: each different one of a run once an epoch, by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mllm.data.conversation import Example, Media
from mllm.data.encoded import content_number
from mllm.data.processor import Processor
from mllm.data.views import Viewer, views_named


@dataclass
class Singles:
    """Endless, seeded, stateless batches of pictures, as ``mllm.data.pipeline`` has them of rows of
    tokens.

    Attributes:
      source: conversations; each different picture in them counts once.
      processor: prepares pictures, all of one size and none split.
      rows: pictures of a batch.
      augmented: which random views are shown, if any (``mllm.data.views.views_named``).

    Raises:
      ValueError: there are no pictures, or the processor splits them or keeps their shape.
    """

    source: Sequence[Example]
    processor: Processor
    rows: int
    seed: int = 0
    augmented: bool | str = False
    _places: list[tuple[int, int, int]] = field(init=False)  # content, example, its medium
    _viewer: Viewer = field(init=False)

    def __post_init__(self):
        config = self.processor.config
        if config.split or config.transform in ("idefics2", "fit"):
            raise ValueError(
                f"pictures are prepared by transform {config.transform!r}, split: {config.split}; "
                "single ones are trained on in one size, unsplit: choose another transform"
            )
        found: dict[int, tuple[int, int, int]] = {}
        for index in range(len(self.source)):
            for medium, media in enumerate(self._media(index)):
                number = content_number(media)
                found.setdefault(number, (number, index, medium))
        if not found:
            raise ValueError("no pictures to train on: the chosen examples show none")
        self._places = list(found.values())
        self._viewer = Viewer(self.processor, views_named(self.augmented))

    def __len__(self) -> int:
        return len(self._places)

    def steps(self, epochs: int) -> int:
        """Return the number of steps in that many epochs; the last batch of an epoch may hold
        fewer pictures.
        """
        return epochs * self._batches

    @property
    def _batches(self) -> int:
        return -(-len(self) // self.rows)

    def batch_at(self, step: int) -> dict:
        """Return the batch of a step, counted from 0, without end; from any thread.

        Returns:
          ``media`` {"image": {"values": u8[R, 1, H, W, 3]}}, and ``weight`` float32[R], 0 for rows
          without a picture.
        """
        epoch, batch = divmod(step, self._batches)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        chosen = order[batch * self.rows : (batch + 1) * self.rows]
        rng, side = np.random.default_rng([self.seed, step, 1]), self.processor.config.image_size
        values = np.zeros((self.rows, 1, side, side, 3), np.uint8)
        for row, place in enumerate(chosen.tolist()):
            number, index, medium = self._places[place]
            where = f"example {self.source[index].id}"
            read = lambda i=index, m=medium: self._media(i)[m]  # noqa: E731
            values[row] = self._viewer.see(number, read, rng, where).tiles[0]
        weight = (np.arange(self.rows) < len(chosen)).astype(np.float32)
        return {"media": {"image": {"values": values}}, "weight": weight}

    def _media(self, index: int) -> list[Media]:
        turns = self.source[index].turns
        return [part for turn in turns for part in turn.media if part.kind == "image"]
