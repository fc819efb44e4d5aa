"""What stays the same while a run trains is computed once: log-probabilities under a reference, and
what a frozen encoder makes of each picture.
"""

import hashlib
import os
import zipfile
import zlib
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
from mllm.training.progress import tell
from mllm.training.step import packed_logprobs

FILE = "reference.npz"
TILES = 16  # encoded together
SHARE = 1 / 8  # of the host's memory, which tokens of pictures may take


def kept_logprobs(
    folder: Path, reference: Loaded, pipeline: Pipeline, role: str, depends_on: str
) -> np.ndarray:
    """Return ``reference_logprobs``, kept in ``folder``, so that a resumed run makes no reference
    pass.

    Args:
      depends_on: digest of all that they follow from; values of another one, or that are not as
        they were written, are computed again.
    """
    path = folder / FILE
    wait_for_all(f"{path} is looked for")
    if path.is_file():
        found = _read(path, depends_on, len(pipeline.examples))
        require_same(str(path), "none" if found is None else found.tobytes())
        if found is not None:
            return found
        tell(f"{path}: is damaged or of another run; its values are computed again")
    found = reference_logprobs(reference, pipeline, role)
    if is_first():
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, logprobs=found, depends_on=_bound(found, depends_on))
    return found


def _read(path: Path, depends_on: str, count: int) -> np.ndarray | None:
    """Return the values of a file if they are ``count``, whole, and follow from ``depends_on``."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            found, bound = kept["logprobs"], str(kept["depends_on"])
    except (ValueError, KeyError, OSError, EOFError, zlib.error, zipfile.BadZipFile):
        return None
    whole = found.dtype == np.float32 and found.shape == (count,)
    return found if whole and bound == _bound(found, depends_on) else None


def _bound(values: np.ndarray, depends_on: str) -> str:
    """Return a digest of values together with that of what they follow from."""
    return hashlib.sha256(depends_on.encode() + values.tobytes()).hexdigest()


def reference_logprobs(reference: Loaded, pipeline: Pipeline, role: str) -> np.ndarray:
    """Return float32[examples], the summed log-probability of the answer of each example of a
    role.
    """
    mesh = mesh_of(reference.variables)

    @jax.jit
    def sums(variables, batch):
        with kernels_for(*kernels_on(mesh)):
            values = packed_logprobs(reference.model, reference.config, variables, batch)
        return segment_sums(values, batch["segments"], batch["answers"].shape[1])

    found = np.zeros(len(pipeline.examples), np.float32)
    for batch in pipeline.once_over(role):
        known = batch["answers"] >= 0
        values = fetch(sums(reference.variables, place_rows(batch, mesh)))[: len(known)]
        found[batch["answers"][known]] = values[known]
    return found


def fits_in_memory(loaded: Loaded, pipeline: Pipeline) -> bool:
    """Return whether there are pictures whose tokens stay the same, and host memory for them."""
    pictures = pipeline.pictures
    if pictures is None or pictures.augmented:
        return False
    count = len({name for example in pipeline.examples for name in example.media.tolist()})
    width, size = loaded.config.decoder.width, np.dtype(loaded.config.dtype).itemsize
    needed = count * pictures.most * loaded.config.image_tokens * width * size
    return needed <= SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def picture_tokens(loaded: Loaded, pipeline: Pipeline) -> dict[int, np.ndarray]:
    """Return float[tiles, N, D] of each picture of a pipeline by its content number, as the encoder
    makes them; at 7 B a picture of LLaVA takes 4.7 MB of host memory. ``Pictures.offsets`` are
    noted on the way.
    """
    mesh, pictures = mesh_of(loaded.variables), pipeline.pictures
    encode = jax.jit(loaded.model.encode_media, static_argnums=0)
    numbers, waiting, found = [], [], []

    def flush() -> None:
        # The last tiles are filled up, so that they run in the program of the others.
        tiles, extents = stack_tiles(waiting, pictures.height, pictures.width)
        for first in range(0, len(tiles), TILES):
            chosen = np.minimum(np.arange(first, first + TILES), len(tiles) - 1)
            image = {"values": tiles[chosen, None], "extents": extents[chosen, None]}
            placed = place_rows({"image": image}, mesh)
            media = encode(loaded.config, loaded.variables, placed)
            found.append(fetch(media["image"]["tokens"])[: len(set(chosen.tolist())), 0])
        waiting.clear()

    counts = []
    for number, picture in pictures.all(pipeline.examples, pipeline.source):
        numbers.append(number)
        if picture.offsets is not None:
            pictures.offsets[number] = picture.offsets
        counts.append(len(picture.tiles))
        waiting.append(picture)
        tiles = sum(len(p.tiles) for p in waiting)
        if tiles % TILES == 0 or tiles > 8 * TILES:  # decoded pictures are not kept
            flush()
    if waiting:
        flush()
    tokens = np.split(np.concatenate(found), np.cumsum(counts)[:-1])
    return dict(zip(numbers, tokens, strict=True))
