"""What a frozen encoder makes of the sounds of a run, computed once."""

from collections.abc import Iterator
from dataclasses import replace

import jax
import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.pipeline import Pipeline
from mllm.data.sounds import Heard, Sounds, lay_out_sounds
from mllm.decoding.split import decoding_program, without_decoder
from mllm.evaluation.looking import memory_share
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch, place_rows

TOGETHER = 16  # sounds that are heard together


@decoding_program("features", reads=without_decoder)
def hear(model, config, variables: dict, media: dict, features: bool) -> jax.Array:
    """Return what the encoder makes of sounds float[B, I, N, W], or their tokens float[B, I, N, D].

    Args:
      media: {"audio": values and extents}, see ``mllm.models.multimodal``.
    """
    found = model.look_media(config, variables, media, features=features)["audio"]
    return found["features" if features else "tokens"]


def with_made(loaded: Loaded, pipeline: Pipeline, *, tokens: bool) -> Sounds | None:
    """Return the sounds of a pipeline with what stays the same of them while a run trains: their
    tokens, or what the encoder makes of them before the map to the decoder.

    They stay as they are where views of them are random, or host memory does not hold the result.

    Args:
      tokens: whether that map stays the same too.
    """
    sounds = pipeline.sounds
    if sounds is None or sounds.views is not None:
        return sounds
    found, taken = {}, 0
    for number, made in _heard(loaded, pipeline, features=not tokens):
        found[number] = made
        taken += made.nbytes
        if taken > memory_share():
            return sounds
    return replace(sounds, made=found, made_as="tokens" if tokens else "features")


def _heard(
    loaded: Loaded, pipeline: Pipeline, *, features: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, float[tokens, ...]) of each sound of a pipeline."""
    sounds, mesh = pipeline.sounds, mesh_of(loaded.variables)
    window = loaded.processor.config.audio.window
    waiting: list[tuple[int, Heard]] = []

    def flush() -> Iterator[tuple[int, np.ndarray]]:
        rows = [[one] for _, one in waiting]
        laid = lay_out_sounds(rows, window, count=TOGETHER, longest=sounds.longest)
        shown = {name: laid[name] for name in ("values", "extents")}
        placed = place_rows({"audio": shown}, mesh)
        made = fetch(hear(loaded.model, loaded.config, loaded.variables, placed, features=features))
        for (number, one), own in zip(waiting, made[:, 0], strict=False):
            yield number, own[: one.tokens].copy()
        waiting.clear()

    for number, count, samples in sounds.all(pipeline.examples, pipeline.source):
        waiting.append((number, Heard(0, count, samples)))
        if len(waiting) == TOGETHER:
            yield from flush()
    if waiting:
        yield from flush()
