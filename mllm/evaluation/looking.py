"""What encoders make of pictures, each of which is looked at once."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from mllm.checkpoints.features import FeatureFiles, feature_files
from mllm.checkpoints.loaded import Loaded
from mllm.data.cache import Cache
from mllm.data.images import Picture
from mllm.data.processor import Processor
from mllm.data.rows import stack_tiles
from mllm.decoding.split import decoding_program, without_decoder

TILES = 16  # looked at together
SHARE = 1 / 8  # of the host's memory, which what is kept of pictures may take

Look = Callable[[dict], np.ndarray]


@decoding_program(reads=without_decoder)
def look(model, config, variables: dict, media: dict) -> jax.Array:
    """Return what the encoders make of images, before any instruction: the features float[B, I, F]
    of an instructed family, the tokens float[B, I, N, D] of all others.

    Args:
      media: {"image": values and extents}, see ``mllm.models.multimodal``.
    """
    return model.look_media(config, variables, media)["image"][made_as(model)]


def made_as(model) -> str:
    """Return the name under which a batch holds what ``look`` returns."""
    return "features" if model.instructed else "tokens"


def memory_share() -> int:
    """Return the bytes that what is kept of pictures may take."""
    return int(SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def looked_at(
    pictures: Iterable[tuple[int, Picture]], look: Look, height: int = 0, width: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, float[tiles, ...]) of each of several pictures, in order.

    All tiles run in programs of ``TILES`` of them; the last ones are filled up.

    Args:
      look: makes float[TILES, ...] of {"values", "extents"} [TILES, 1, ...].
      height, width: in pixels, that hold every tile; 0 for those of the pictures.
    """
    waiting: list[tuple[int, Picture]] = []

    def flush() -> Iterator[tuple[int, np.ndarray]]:
        shown = [picture for _, picture in waiting]
        sizes = [(height, width), *(picture.tiles.shape[1:3] for picture in shown)]
        tiles, extents = stack_tiles(shown, *np.max(sizes, axis=0).tolist())
        found = []
        for first in range(0, len(tiles), TILES):
            chosen = np.minimum(np.arange(first, first + TILES), len(tiles) - 1)
            image = {"values": tiles[chosen, None], "extents": extents[chosen, None]}
            found.append(look(image)[: len(tiles) - first])
        ends = np.cumsum([len(picture.tiles) for picture in shown])
        parts = np.split(np.concatenate(found), ends[:-1])
        yield from zip([number for number, _ in waiting], parts, strict=True)
        waiting.clear()

    for number, picture in pictures:
        waiting.append((number, picture))
        tiles = sum(len(picture.tiles) for _, picture in waiting)
        if tiles % TILES == 0 or tiles > 8 * TILES:  # decoded pictures are not kept
            yield from flush()
    if waiting:
        yield from flush()


class Features(Mapping[int, np.ndarray]):
    """Features float[tiles, F] of pictures by ``content_number``: those used last in memory, all of
    them on disk if there is a folder.

    Attributes:
      files: on disk; None keeps none.
    """

    def __init__(self, files: FeatureFiles | None = None, limit: int | None = None):
        self.files = files
        self._kept = Cache(memory_share() if limit is None else limit)
        self._numbers: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __getitem__(self, number: int) -> np.ndarray:
        """Return the features of a picture that was looked at.

        Raises:
          KeyError: it was not.
          FileNotFoundError: its file is gone or was changed since.
        """
        found = self.find(number) if number in self._numbers else None
        if found is not None:
            return found
        if number not in self._numbers or self.files is None:
            raise KeyError(number)
        raise FileNotFoundError(
            f"{self.files.path(number)}: was removed or changed while it was in use; run the "
            "command again, which makes it again"
        )

    def find(self, number: int) -> np.ndarray | None:
        """Return the features of a picture, None if they are not there."""
        found = self._kept.peek(number)
        if found is None and self.files is not None:
            found = self.files.read(number)
            if found is not None:
                self._keep(number, found)
        return found

    def add(self, number: int, features: np.ndarray) -> None:
        """Keep the features of a picture."""
        if self.files is not None:
            self.files.write(number, features)
        self._keep(number, features)

    def _keep(self, number: int, features: np.ndarray) -> None:
        self._numbers[number] = None
        self._kept.get(number, lambda: features, lambda array: array.nbytes)

    def of(
        self, numbers: Sequence[int], see: Callable[[int], Picture], look: Look
    ) -> list[np.ndarray]:
        """Return the features of pictures; those that are not there are looked at.

        Args:
          see: returns the picture of a number. look: see ``looked_at``.
        """
        found = {number: self.find(number) for number in dict.fromkeys(numbers)}
        missing = ((number, see(number)) for number, known in found.items() if known is None)
        for number, features in looked_at(missing, look):
            self.add(number, features)
            found[number] = features
        return [found[number] for number in numbers]


def features_of(loaded: Loaded, processor: Processor, folder: Path | None) -> Features:
    """Return the features that the encoders of a model make of pictures.

    Several processes compute the same at the same time, so they keep none on disk.

    Args:
      folder: of the files of all models; None keeps none.
    """
    alone = folder is not None and jax.process_count() == 1
    return Features(feature_files(folder, loaded, processor) if alone else None)
