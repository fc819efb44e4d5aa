"""Models that say how well texts fit a picture, as answerers: no words are generated.

They are asked for ``Choices`` about one picture, and answer the log-softmax over the texts of
``scale`` times the cosine of the embeddings of picture and text.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from mllm.checkpoints.clip import LoadedClip, read_clip
from mllm.checkpoints.parents import folder_content
from mllm.data.conversation import Media
from mllm.data.images import decode, make_picture
from mllm.data.packing import round_up
from mllm.evaluation.request import Choices, Reply, Request, content_key
from mllm.models.clip import ClipConfig, image_embeddings, similarity, text_embeddings

BATCH = 32  # pictures or texts that are embedded together
_TOKENS = 16  # texts are padded to a multiple of this, so that few programs are compiled


class Encoder(Protocol):
    """What embeds pictures and texts at length 1; ``scale`` is what cosines are multiplied by."""

    scale: float

    def pictures(self, media: Sequence[Media]) -> np.ndarray: ...

    def texts(self, texts: Sequence[str]) -> np.ndarray: ...


class ClipEncoder:
    """The two towers of CLIP; each text is embedded once."""

    def __init__(self, loaded: LoadedClip):
        self.scale = loaded.scale
        self._loaded, self._texts = loaded, {}

    def pictures(self, media: Sequence[Media]) -> np.ndarray:
        """Return float32[N, E] of N pictures.

        Raises:
          ValueError: one cannot be decoded.
        """
        return self._in_batches(image_embeddings, [self._pixels(medium) for medium in media])

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32[N, E] of N texts.

        Raises:
          ValueError: one has more tokens than the model has positions.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        ids = [self._ids(text) for text in new]
        # Texts of a length together: what is padded is computed as well.
        for length in sorted({self._padded(found) for found in ids}):
            these = [at for at, found in enumerate(ids) if self._padded(found) == length]
            # The end, repeated: the first one counts.
            rows = [np.pad(ids[at], (0, length - len(ids[at])), mode="edge") for at in these]
            for at, row in zip(these, self._in_batches(text_embeddings, rows), strict=True):
                self._texts[new[at]] = row
        return np.stack([self._texts[text] for text in texts])

    def _pixels(self, medium: Media) -> np.ndarray:
        where, rule = f"image {medium.digest[:12]}", self._loaded.images
        return make_picture(decode(medium.data, where, rule.alpha), rule, where).tiles[0]

    def _ids(self, text: str) -> np.ndarray:
        ids, most = self._loaded.tokenizer.encode(text).ids, self._loaded.config.text.positions
        if len(ids) > most:
            raise ValueError(
                f"text {text[:80]!r} has {len(ids)} tokens, expected at most {most}, the positions "
                "of the model; shorten it"
            )
        return np.asarray(ids, np.int32)

    def _padded(self, ids: np.ndarray) -> int:
        return min(round_up(len(ids), _TOKENS), self._loaded.config.text.positions)

    def _in_batches(self, embed: Callable, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Return what a tower makes of rows, always of as many at a time, the last one repeated."""
        config, variables = self._loaded.config, self._loaded.variables
        found = [np.empty((0, config.width), np.float32)]
        for begin in range(0, len(rows), BATCH):
            batch = np.stack(rows[begin : begin + BATCH])
            whole = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
            found.append(np.asarray(_run(embed, config, variables, whole))[: len(batch)])
        return np.concatenate(found)


@partial(jax.jit, static_argnums=(0, 1))
def _run(embed: Callable, config: ClipConfig, variables: dict, rows: jax.Array) -> jax.Array:
    """Compute with products in full float32 on every device."""
    with jax.default_matmul_precision("highest"):
        return embed(config, variables, rows)


@dataclass(frozen=True)
class Contrastive:
    """Answer ``Choices`` about one picture each; an ``Answerer``.

    Attributes:
      named: JSON values that name the model by its content.
      make: returns the encoder; it is called when something is asked.
    """

    named: Mapping[str, Any]
    make: Callable[[], Encoder]

    @property
    def identity(self) -> Mapping[str, Any]:
        """What names the model."""
        return self.named

    @cached_property
    def encoder(self) -> Encoder:
        """The model, read once."""
        return self.make()

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to all requests whose key is not in ``done``, those about some pictures
        at a time; each picture is embedded once.

        Raises:
          ValueError: a request asks something else, or a picture or a text cannot be read.
        """
        by_picture: dict[Media, list[Request]] = {}
        for request in requests:
            picture = picture_of(request)
            if request.key not in done:
                by_picture.setdefault(picture, []).append(request)
        pictures = list(by_picture)
        for begin in range(0, len(pictures), BATCH):
            batch = pictures[begin : begin + BATCH]
            asked = [request for picture in batch for request in by_picture[picture]]
            texts = list(dict.fromkeys(text for request in asked for text in request.ask.texts))
            fits = similarity(
                self.encoder.pictures(batch), self.encoder.texts(texts), self.encoder.scale
            )
            rows = dict(zip(batch, np.asarray(fits, np.float64), strict=True))
            place = {text: at for at, text in enumerate(texts)}
            yield [_reply(request, rows[picture_of(request)], place) for request in asked]


def clip_answerer(folder: Path) -> Contrastive:
    """Return the CLIP of a Hugging Face folder as an answerer, named by the folder's content.

    Raises:
      FileNotFoundError, ValueError: a file of the folder cannot be read.
    """
    named = {"contrastive": "clip", "content": content_key(folder_content(Path(folder)))}
    return Contrastive(named, lambda: ClipEncoder(read_clip(folder)))


def picture_of(request: Request) -> Media:
    """Return the picture that a request is about.

    Raises:
      ValueError: it asks for anything but choices, or shows anything but one picture.
    """
    parts = [part for turn in request.turns for part in turn.parts]
    alone = len(parts) == 1 and isinstance(parts[0], Media) and parts[0].kind == "image"
    if not isinstance(request.ask, Choices) or not alone:
        shown = ", ".join(part.kind if isinstance(part, Media) else "words" for part in parts)
        raise ValueError(
            f"request {request.key}: found {type(request.ask).__name__} about "
            f"{shown or 'nothing'}, expected Choices about one image: this model compares pictures "
            "with texts"
        )
    return parts[0]


def _reply(request: Request, row: np.ndarray, place: Mapping[str, int]) -> Reply:
    values = row[[place[text] for text in request.ask.texts]]
    logprobs = values - np.logaddexp.reduce(values)
    if not np.isfinite(logprobs).all():
        return Reply(request.key, state="error")
    return Reply(request.key, logprobs=tuple(map(float, logprobs)), tokens=(1,) * len(values))
