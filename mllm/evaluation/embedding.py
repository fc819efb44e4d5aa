"""Texts compared by what they mean: the cosine of their embeddings."""

from collections.abc import Sequence
from functools import partial
from os import PathLike

import jax
import numpy as np

from mllm.checkpoints.text_encoder import LoadedTextEncoder, find_minilm, read_text_encoder
from mllm.models.text_encoder import embed_texts

BATCHES = (64, 8)  # texts in a program; the largest that can be filled is taken
_SHORTEST = 16  # tokens; programs are compiled for its multiples by powers of two


class TextSimilarity:
    """Compares texts with a text encoder, each text of which it embeds once."""

    def __init__(self, encoder: LoadedTextEncoder):
        self._encoder = encoder
        self._embed = jax.jit(partial(embed_texts, encoder.config))
        self._known: dict[str, np.ndarray] = {}

    @classmethod
    def read(cls, folder: str | PathLike | None = None) -> "TextSimilarity":
        """Read the encoder of a folder; None takes all-MiniLM-L6-v2 of ``requirements-smol.txt``.

        Raises:
          FileNotFoundError: the package is not installed, or the folder lacks a file.
          ValueError: the folder holds something else.
        """
        return cls(read_text_encoder(find_minilm() if folder is None else folder))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of texts, float32[N, D], of length 1."""
        self._add(text for text in texts if text not in self._known)
        width = self._encoder.config.width
        return np.asarray([self._known[text] for text in texts], np.float32).reshape(-1, width)

    def similarity(self, texts: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Return the cosine of each text with its reference, float32[N] in [-1, 1].

        Raises:
          ValueError: there are not as many references as texts.
        """
        if len(texts) != len(references):
            raise ValueError(
                f"expected one reference for each of {len(texts)} texts, found {len(references)}"
            )
        self._add(text for text in (*texts, *references) if text not in self._known)
        return np.clip(np.sum(self.embed(texts) * self.embed(references), axis=1), -1, 1)

    def similarities(self, texts: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Return the cosine of each text with each reference, float32[N, M] in [-1, 1]."""
        return np.clip(self.embed(texts) @ self.embed(references).T, -1, 1)

    def _add(self, texts) -> None:
        """Embed new texts in batches of like lengths, whose shapes are few."""
        new = list(dict.fromkeys(texts))
        encoded = [one.ids for one in self._encoder.tokenizer.encode_batch(new)]
        order = sorted(range(len(new)), key=lambda place: len(encoded[place]))
        while order:
            count = next((size for size in BATCHES if size <= len(order)), BATCHES[-1])
            # The longest come first, so a batch is as long as its first text.
            chosen, order = order[-count:], order[:-count]
            ids = [encoded[place] for place in chosen]
            tokens = np.zeros((count, self._length(max(map(len, ids)))), np.int32)
            real = np.zeros(tokens.shape, bool)
            real[:, 0] = True  # of the rows that no text fills
            for row, own in enumerate(ids):
                tokens[row, : len(own)] = own
                real[row, : len(own)] = True
            found = np.asarray(self._embed(self._encoder.variables, tokens, real))
            self._known.update((new[p], vector) for p, vector in zip(chosen, found, strict=False))

    def _length(self, needed: int) -> int:
        """Return the tokens of a row that holds a text."""
        length = _SHORTEST
        while length < needed:
            length *= 2
        return min(length, self._encoder.limit)
