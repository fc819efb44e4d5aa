"""What stays the same of the sounds of a run while it trains, computed once."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import jax
import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.pipeline import Pipeline
from mllm.data.sound_rows import Heard, Spectrum, lay_out_sounds
from mllm.data.sounds import Sounds
from mllm.decoding.split import decoding_program, without_decoder
from mllm.evaluation.looking import memory_share
from mllm.models.listener import spectrograms
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch, place_rows
from mllm.studies.weights import Weights

TOGETHER = 16  # sounds that are heard together


@decoding_program("features", reads=without_decoder)
def hear(model, config, variables: dict, media: dict, features: bool) -> jax.Array:
    """Return what the encoder makes of sounds float[B, I, N, W], or their tokens float[B, I, N, D].

    Args:
      media: {"audio": values and extents}, see ``mllm.models.multimodal``.
    """
    found = model.look_media(config, variables, media, features=features)["audio"]
    return found["features" if features else "tokens"]


spectra = jax.jit(spectrograms, static_argnums=0)


def kept_sounds(loaded: Loaded, pipeline: Pipeline, weights: Weights, epochs: int) -> Sounds | None:
    """Return the sounds of a pipeline with all that stays the same of them while some weights
    train: what a frozen encoder makes of them, or the spectrograms that it hears.
    """
    if weights.ears_stay:
        return with_made(loaded, pipeline, tokens=weights.media_stay)
    return with_spectra(loaded, pipeline, epochs)


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


def with_spectra(loaded: Loaded, pipeline: Pipeline, epochs: int) -> Sounds | None:
    """Return the sounds of a pipeline with their spectrograms, from which an encoder that trains
    hears them.

    They stay as they are where none is heard twice, other sounds are mixed into them, or host
    memory does not hold the result.
    """
    sounds = pipeline.sounds
    if sounds is None or (sounds.views is not None and sounds.views.mixed):
        return sounds
    numbers = [number for one in pipeline.examples for _, number in one.of_kind("audio")]
    if epochs * len(numbers) < 2 * len({*numbers}):
        return sounds
    found, taken = {}, 0
    for waiting, laid in _laid(loaded, pipeline):
        values, frames = map(fetch, spectra(loaded.config, laid["values"], laid["extents"]))
        for row, (number, one) in enumerate(waiting):
            found[number] = Spectrum(values[row, 0], int(frames[row, 0, 0]), len(one.samples))
            taken += values[row].nbytes
        if taken > memory_share():
            return sounds
    return replace(sounds, spectra=found)


def _heard(
    loaded: Loaded, pipeline: Pipeline, *, features: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, float[tokens, ...]) of each sound of a pipeline."""
    mesh = mesh_of(loaded.variables)
    for waiting, laid in _laid(loaded, pipeline):
        placed = place_rows({"audio": laid}, mesh)
        made = fetch(hear(loaded.model, loaded.config, loaded.variables, placed, features=features))
        for (number, one), own in zip(waiting, made[:, 0], strict=False):
            yield number, own[: one.tokens].copy()


def _laid(
    loaded: Loaded, pipeline: Pipeline
) -> Iterator[tuple[list[tuple[int, Heard]], dict[str, np.ndarray]]]:
    """Yield the sounds of a pipeline by number, ``TOGETHER`` at a time, and the values and extents
    of these as arrays.
    """
    sounds, window = pipeline.sounds, loaded.processor.config.audio.window
    every = sounds.all(pipeline.examples, pipeline.source)
    for some in iter(lambda: [*islice(every, TOGETHER)], []):
        waiting = [(number, Heard(0, count, samples)) for number, count, samples in some]
        rows = [[one] for _, one in waiting]
        laid = lay_out_sounds(rows, window, count=TOGETHER, longest=sounds.longest)
        yield waiting, {name: laid[name] for name in ("values", "extents")}
