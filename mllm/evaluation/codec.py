"""Pictures to codes and codes to pictures, by the autoencoder of a model that writes pictures.

A program always runs over ``ROWS`` pictures, so that what becomes of one does not depend on the
others that it is asked for with.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import jax
import numpy as np
from PIL import Image

from mllm.checkpoints.loaded import Loaded
from mllm.data import conversation
from mllm.data.cache import Cache
from mllm.data.conversation import Media, Turn
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch, place_rows

ROWS = 16  # pictures of a program
KEPT = 64 * 2**20  # bytes of drawings kept at hand, and of codes


@dataclass(frozen=True)
class Codec:
    """The autoencoder of a loaded model.

    Codes are kept by the content of a picture, and drawings by their codes.

    Raises:
      ValueError: the model has no autoencoder.
    """

    loaded: Loaded
    _codes: Cache = field(default_factory=lambda: Cache(KEPT))
    _drawings: Cache = field(default_factory=lambda: Cache(KEPT))

    def __post_init__(self):
        if not hasattr(self.loaded.model, "encode_pictures"):
            raise ValueError(
                f"family {self.loaded.family!r} writes text only: it has no codes for pictures; "
                "use a model of a family with an autoencoder, such as 'interleaved'"
            )

    @property
    def length(self) -> int:
        """K, codes of a picture."""
        return self.loaded.config.codec.length

    def turns(self, conversations: Sequence[Sequence[Turn]]) -> list[tuple[Turn, ...]]:
        """Return conversations in which the codes of each image stand in its place.

        Raises:
          ValueError: as ``encode``.
        """
        return with_codes(conversations, lambda m: map(conversation.codes, self.encode(m)))

    def encode(self, media: Sequence[Media], where: str = "image") -> np.ndarray:
        """Return the codes i32[N, K] of pictures.

        Raises:
          ValueError: one cannot be decoded, or is prepared in another size than the autoencoder's;
            the message starts with ``where``.
        """
        first = {medium.digest: medium for medium in media}
        known = {name: self._codes.peek(name) for name in first}
        missing = [name for name, codes in known.items() if codes is None]
        images = (self._image(first[name], f"{where} {n}") for n, name in enumerate(missing))
        for name, codes in zip(missing, self._run("encode_pictures", images), strict=True):
            known[name] = self._codes.get(name, partial(np.copy, codes), _size)
        found = [known[medium.digest] for medium in media]
        return np.stack(found) if found else np.zeros((0, self.length), np.int32)

    def decode(self, codes: Sequence[Sequence[int]]) -> list[bytes]:
        """Return the pictures of codes i[N, K], each as a PNG.

        Raises:
          ValueError: not K codes, or one that the codebook does not have.
        """
        rows = [tuple(map(int, row)) for row in codes]
        for number, row in enumerate(rows):
            size = self.loaded.config.codec.codes
            if len(row) != self.length or not all(0 <= code < size for code in row):
                raise ValueError(
                    f"picture {number}: expected {self.length} codes from 0 to {size - 1}, found "
                    f"{list(row)}"
                )
        known = {row: self._drawings.peek(row) for row in rows}
        missing = [row for row, drawn in known.items() if drawn is None]
        arrays = (np.array(row, np.int32) for row in missing)
        for row, pixels in zip(missing, self._run("draw_pictures", arrays), strict=True):
            known[row] = self._drawings.get(row, partial(_png, pixels), len)
        return [known[row] for row in rows]

    def _image(self, medium: Media, where: str) -> np.ndarray:
        """Return a picture as the encoder sees it, u8[S, S, 3]."""
        if medium.kind != "image":
            raise ValueError(f"{where}: a medium of kind {medium.kind!r}, expected an image")
        tiles = self.loaded.processor.prepare(medium, where).tiles
        side = self.loaded.config.codec.image_size
        if tiles.shape != (1, side, side, 3):
            raise ValueError(
                f"{where}: is prepared as {tiles.shape[0]} tiles of {tiles.shape[1]} x "
                f"{tiles.shape[2]} pixels, but the autoencoder takes one of {side} x {side}: set "
                "processor.image_size to codec.image_size"
            )
        return tiles[0]

    def _run(self, name: str, arrays) -> list[np.ndarray]:
        """Return what a function of the family makes of arrays [...], ``ROWS`` at a time."""
        loaded, found, waiting = self.loaded, [], list(arrays)
        program = jax.jit(getattr(loaded.model, name), static_argnums=0)
        mesh = mesh_of(loaded.variables)
        for first in range(0, len(waiting), ROWS):
            some = waiting[first : first + ROWS]
            rows = np.stack([*some, *[some[-1]] * (ROWS - len(some))])
            placed = place_rows({"rows": rows}, mesh)["rows"]
            found += list(fetch(program(loaded.config, loaded.variables, placed))[: len(some)])
        return found


def _size(codes: np.ndarray) -> int:
    return codes.nbytes


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def with_codes(
    conversations: Sequence[Sequence[Turn]], encode: Callable[[list[Media]], Iterable[Media]]
) -> list[tuple[Turn, ...]]:
    """Return conversations in which another medium stands for each image.

    Args:
      encode: returns what stands for images, each of which it is given once.
    """
    shown = [m for turns in conversations for t in turns for m in t.media if m.kind == "image"]
    media = {medium.digest: medium for medium in shown}
    known = dict(zip(media, encode(list(media.values())), strict=True))

    def read(turn: Turn) -> Turn:
        parts = (p if isinstance(p, str) else known.get(p.digest, p) for p in turn.parts)
        return replace(turn, parts=tuple(parts))

    return [tuple(map(read, turns)) for turns in conversations]


def codec_of(loaded: Loaded) -> Codec | None:
    """Return the autoencoder of a model, None if its family has none."""
    return Codec(loaded) if hasattr(loaded.model, "encode_pictures") else None
