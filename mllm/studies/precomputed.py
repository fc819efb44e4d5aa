"""What stays the same while a run trains is computed once: log-probabilities under a reference, and
what a frozen tower makes of each picture.
"""

from pathlib import Path

import jax
import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.pipeline import Pipeline
from mllm.data.rows import stack_tiles
from mllm.files import replacing
from mllm.ops.attention import kernels_for
from mllm.ops.segments import segment_sums
from mllm.parallel.kernels import kernels_on
from mllm.parallel.launch import is_first, require_same, wait_for_all
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch, place_rows
from mllm.training.step import packed_logprobs

FILE = "reference.npz"
TILES = 16  # encoded together


def kept_logprobs(folder: Path, reference: Loaded, pipeline: Pipeline, depends_on: str):
    """``reference_logprobs``, kept in ``folder``: a run that goes on makes no reference pass.

    Args:
      depends_on: digest of all that they follow from. Values of another one are computed again.
    """
    path = folder / FILE
    wait_for_all(f"{path} is looked for")
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            found = kept["logprobs"] if str(kept["depends_on"]) == depends_on else None
        require_same(str(path), "none" if found is None else found.tobytes())
        if found is not None:
            return found
    found = reference_logprobs(reference, pipeline)
    if is_first():
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, logprobs=found, depends_on=depends_on)
    return found


def reference_logprobs(reference: Loaded, pipeline: Pipeline) -> np.ndarray:
    """float32[examples]: summed log-probability of each answer to forget, computed once."""
    mesh = mesh_of(reference.variables)

    @jax.jit
    def sums(variables, batch):
        with kernels_for(*kernels_on(mesh)):
            values = packed_logprobs(reference.model, reference.config, variables, batch)
        return segment_sums(values, batch["segments"], batch["answers"].shape[1])

    found = np.zeros(len(pipeline.examples), np.float32)
    for batch in pipeline.once_over_forget():
        known = batch["answers"] >= 0
        values = fetch(sums(reference.variables, place_rows(batch, mesh)))[: len(known)]
        found[batch["answers"][known]] = values[known]
    return found


def picture_media(loaded: Loaded, pipeline: Pipeline) -> list[np.ndarray]:
    """float[tiles, N, D] of each picture of a pipeline, as the tower and what follows it make it.

    They are kept in the memory of the host: at 7 B a picture of LLaVA takes 4.7 MB.
    """
    mesh, found = mesh_of(loaded.variables), []
    encode = jax.jit(loaded.model.encode_media, static_argnums=0)
    images, extents = stack_tiles(pipeline.pictures, *pipeline.largest[1:])
    for first in range(0, len(images), TILES):
        # The last tiles are filled up, so that they run in the program of the others.
        chosen = np.minimum(np.arange(first, first + TILES), len(images) - 1)
        tiles = {"images": images[chosen, None], "extents": extents[chosen, None]}
        placed = place_rows(tiles, mesh)
        media = encode(loaded.config, loaded.variables, placed["images"], placed["extents"])
        found.append(fetch(media)[:TILES, 0])
    ends = np.cumsum([len(picture.tiles) for picture in pipeline.pictures])
    return np.split(np.concatenate(found)[: len(images)], ends[:-1])
