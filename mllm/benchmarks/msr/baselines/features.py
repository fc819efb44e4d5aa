"""Features of items from a model that reads pictures and text.

N items, R items that are read together, T tokens, D width of the model's decoder.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.conversation import image
from mllm.data.packing import round_up
from mllm.data.rows import stack_tiles
from mllm.decoding.split import decoding_program
from mllm.evaluation.runner import LocalModel

ROWS = 32
STEP = 16  # texts are padded to a multiple of this, so that few programs are compiled


def features(benchmark, model: LocalModel) -> np.ndarray:
    """Return float32[N, 2 D]: the mean of the image tokens of each item's picture, and the mean of
    the decoder's states over its title and description. What an item lacks is 0.

    Args:
      benchmark: of ``mllm.benchmarks.msr.benchmark``.
    """
    items, loaded, found = benchmark.items, model.loaded, []
    for first in range(0, len(items), ROWS):
        lot = [items[number] for number in range(first, min(first + ROWS, len(items)))]
        pictures = of_pictures(loaded, {item.id: item.picture for item in lot})
        texts = (" ".join(filter(None, (item.title, item.description))) for item in lot)
        found.append(np.concatenate([pictures, of_texts(loaded, list(texts))], axis=1))
    return np.concatenate(found)


def of_pictures(loaded: Loaded, pictures: dict[str, bytes | None]) -> np.ndarray:
    """Return float32[R, D], the mean of the image tokens of each picture over all its tiles.

    Args:
      pictures: encoded, by the ID of the item.

    Raises:
      ValueError: one cannot be decoded; the message names the item.
    """
    found = np.zeros((len(pictures), loaded.config.decoder.width), np.float32)
    seen = [place for place, data in enumerate(pictures.values()) if data is not None]
    prepared = [
        loaded.processor.prepare(image(data), f"picture of item {id}")
        for id, data in pictures.items()
        if data is not None
    ]
    if not prepared:
        return found
    sizes = [picture.tiles.shape[1:3] for picture in prepared]
    tiles, extents = stack_tiles(prepared, *np.max(sizes, axis=0).tolist())
    whose = np.repeat(seen, [len(picture.tiles) for picture in prepared])
    for first in range(0, len(tiles), ROWS):
        chosen = np.minimum(np.arange(first, first + ROWS), len(tiles) - 1)
        media = {"image": {"values": tiles[chosen, None], "extents": extents[chosen, None]}}
        means = np.asarray(_encoded(loaded.model, loaded.config, loaded.variables, media))
        real = whose[first : first + ROWS]
        np.add.at(found, real, means[: len(real)])
    return found / np.maximum(np.bincount(whose, minlength=len(found)), 1)[:, None]


def of_texts(loaded: Loaded, texts: Sequence[str]) -> np.ndarray:
    """Return float32[R, D], the mean of the states over the tokens of each text."""
    tokens = [loaded.processor.tokenizer.encode(text, add_special_tokens=False) for text in texts]
    longest = round_up(max(1, *(len(one.ids) for one in tokens)), STEP)
    ids, segments = np.zeros((ROWS, longest), np.int32), np.full((ROWS, longest), -1, np.int32)
    for row, one in enumerate(tokens):
        ids[row, : len(one.ids)], segments[row, : len(one.ids)] = one.ids, 0
    positions = np.broadcast_to(np.arange(longest, dtype=np.int32), ids.shape)
    batch = {"tokens": ids, "positions": positions, "segments": segments}
    means = _read(loaded.model, loaded.config, loaded.variables, batch)
    return np.asarray(means)[: len(texts)]


@partial(jax.jit, static_argnums=(0, 1))
def _encoded(model, config, variables: dict, media: dict) -> jax.Array:
    tokens = model.encode_media(config, variables, media)["image"]["tokens"]
    return jnp.mean(tokens.astype(jnp.float32), axis=(1, 2))


@decoding_program()
def _read(model, config, variables: dict, batch: dict) -> jax.Array:
    states, _ = model.hidden(config, variables, batch)
    real = (batch["segments"] >= 0)[..., None]
    total = jnp.sum(jnp.where(real, states.astype(jnp.float32), 0), axis=1)
    return total / jnp.maximum(jnp.sum(real, axis=1), 1)
