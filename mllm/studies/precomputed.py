"""What stays the same while a run trains is computed once: log-probabilities under a reference, and
what a frozen encoder makes of each picture.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import jax
import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.images import Picture
from mllm.data.pipeline import Pipeline
from mllm.evaluation.looking import TILES, Features, features_of, look, looked_at, memory_share
from mllm.ops.attention import kernels_for
from mllm.ops.segments import segment_sums
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch, place_rows
from mllm.studies.kept_arrays import Arrays, kept_arrays
from mllm.training.values import packed_logprobs

FILE, VALUES = "reference.npz", "logprobs"
FREE = 2  # times what features take that a disk must have left


def kept_logprobs(
    folder: Path,
    reference: Loaded,
    pipeline: Pipeline,
    roles: Sequence[str],
    depends_on: str,
    *,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """Return ``reference_logprobs``, kept in ``folder``, so that a resumed run makes no reference
    pass.

    Args:
      known: the values, where another run with the same pipeline and reference has them.
      depends_on: digest of all that they follow from; values of another one, or that are not as
        they were written, are computed again.
    """

    def fits(arrays: Arrays) -> bool:
        found = arrays.get(VALUES)
        whole = found is not None and found.dtype == np.float32
        return whole and found.shape == (len(pipeline.examples),)

    def compute() -> Arrays:
        found = reference_logprobs(reference, pipeline, roles) if known is None else known
        return {VALUES: found}

    return kept_arrays(folder / FILE, depends_on, fits, compute)[VALUES]


def reference_logprobs(reference: Loaded, pipeline: Pipeline, roles: Sequence[str]) -> np.ndarray:
    """Return float32[examples], the summed log-probability of the answer of each example of some
    roles, 0 of the others.
    """
    mesh = mesh_of(reference.variables)

    @jax.jit
    def sums(variables, batch):
        with kernels_for(*kernels_on(mesh)):
            values = packed_logprobs(reference.model, reference.config, variables, batch)
        return segment_sums(values, batch["segments"], batch["answers"].shape[1])

    found = np.zeros(len(pipeline.examples), np.float32)
    for batch in chain.from_iterable(map(pipeline.once_over, roles)):
        known = batch["answers"] >= 0
        values = fetch(sums(reference.variables, place_rows(batch, mesh)))[: len(known)]
        found[batch["answers"][known]] = values[known]
    return found


def made_of_pictures(
    loaded: Loaded, pipeline: Pipeline, folder: Path
) -> Mapping[int, np.ndarray] | None:
    """Return float[tiles, ...] of each picture of a pipeline by its number, as frozen encoders make
    them: the features of an instructed model, which lie on disk, the tokens of any other. None if
    there is nothing that stays the same, or no room for it.

    At 7 B, the tokens of a picture of LLaVA take 4.7 MB of host memory. ``Pictures.offsets`` are
    noted on the way.

    Args:
      folder: of the features of all models of a study.
    """
    pictures = pipeline.pictures
    if pictures is None or pictures.augmented:
        return None
    numbers = {n for example in pipeline.examples for _, n in example.of_kind("image")}
    each = pictures.most * _bytes_of_tile(loaded, pipeline)
    in_memory = len(numbers) * each <= memory_share()
    if not pictures.processor.config.instructed:
        return _tokens(loaded, pipeline) if in_memory else None
    found = features_of(loaded, pictures.processor, folder)
    if found.files is not None:
        new = sum(not found.files.has(number) for number in numbers)
        if FREE * new * each > _free(folder):
            found = Features()
    if found.files is None and not in_memory:
        return None
    missing = {number for number in numbers if found.find(number) is None}
    shown = pictures.all(pipeline.examples, pipeline.source, missing)
    for number, features in _looked_at(loaded, pipeline, shown):
        found.add(number, features)
    return found


def _bytes_of_tile(loaded: Loaded, pipeline: Pipeline) -> int:
    """Return the bytes of what encoders make of a tile."""
    pictures = pipeline.pictures
    values = jax.ShapeDtypeStruct((TILES, 1, pictures.height, pictures.width, 3), np.uint8)
    extents = jax.ShapeDtypeStruct((TILES, 1, 2), np.int32)
    media = {"image": {"values": values, "extents": extents}}
    made = jax.eval_shape(partial(look, loaded.model, loaded.config), loaded.variables, media)
    return made.size // TILES * made.dtype.itemsize


def _free(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder, which may not be there yet."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    return shutil.disk_usage(there).free


def _tokens(loaded: Loaded, pipeline: Pipeline) -> dict[int, np.ndarray]:
    pictures = pipeline.pictures

    def noted() -> Iterator[tuple[int, Picture]]:
        for number, picture in pictures.all(pipeline.examples, pipeline.source):
            if picture.offsets is not None:
                pictures.offsets[number] = picture.offsets
            yield number, picture

    return dict(_looked_at(loaded, pipeline, noted()))


def _looked_at(
    loaded: Loaded, pipeline: Pipeline, shown: Iterable[tuple[int, Picture]]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield what the encoders make of some pictures of a pipeline, by number."""
    mesh, pictures = mesh_of(loaded.variables), pipeline.pictures

    def run(image: dict) -> np.ndarray:
        placed = place_rows({"image": image}, mesh)
        return fetch(look(loaded.model, loaded.config, loaded.variables, placed))[:TILES, 0]

    return looked_at(shown, run, pictures.height, pictures.width)
