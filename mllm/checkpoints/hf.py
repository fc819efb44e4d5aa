"""Convert weights of Hugging Face folders to our trees and back, by ``mllm.checkpoints.tables``.

In both directions, little more than one leaf is in memory in addition to the model: reading takes
from the disk what each device holds, and writing takes one layer at a time from the devices.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Sharding, SingleDeviceSharding

from mllm.checkpoints.tables import IGNORED, LAYOUTS, Layout, Part, Table
from mllm.checkpoints.tensor_files import INDEX, SINGLE, Pending, TensorFiles, write_file
from mllm.files import write_json
from mllm.parallel.launch import is_first, wait_for_all
from mllm.parallel.place import fetch, take_layer

Place = Callable[[str, tuple[int, ...]], Sharding]
_ROWS = 4096  # rows of an embedding that are compared at once


@dataclass(frozen=True)
class Source:
    """Where the files keep a leaf: one tensor per layer if the leaf is stacked, else one tensor.

    Attributes:
      names: names of the tensors.
      shape: shape of each tensor.
      leaves: paths of all leaves in a tensor, whose rows follow each other in this order.
      start: the first row of this leaf.
      layout: layout of all these leaves.
      stacked: whether axis 0 of the leaf counts layers.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    leaves: tuple[str, ...]
    start: int
    layout: Layout
    stacked: bool


def read_tree(
    files: TensorFiles,
    table: Table,
    wanted: dict,
    *,
    dtype=None,
    place: Place | None = None,
    unused: re.Pattern | None = None,
) -> tuple[dict, dict[str, np.ndarray]]:
    """Read a tree of parameters.

    Args:
      files: what ``mllm.checkpoints.tensor_files.open_folder`` returns.
      table: the table of the family.
      wanted: nested dict of ShapeDtypeStructs; their dtypes are ignored.
      dtype: dtype of all leaves; None keeps the stored ones.
      place: (path, shape) -> the leaf's sharding; None places it on the first device.
      unused: finds the names of tensors that are neither read nor returned.

    Returns:
      (the tree; the stored tensors that the model does not use, by published name, as NumPy arrays
      of the stored dtypes).

    Raises:
      ValueError: a tensor is missing, unexpected or misshapen, differs in dtype from the other
        layers of its leaf, or holds NaN or infinity, or a stored head differs from the embedding
        that it is tied to; the message names the file and the tensor.
    """
    prefixes = find_prefixes(files, table)
    shapes = {path: leaf.shape for path, leaf in flatten_dict(wanted, sep="/").items()}
    sources = find_sources(table, prefixes, shapes)
    for source in sources.values():
        check_source(files, source)
    carried = _explain_rest(files, table, prefixes, sources, unused)
    first_device = SingleDeviceSharding(jax.devices()[0])
    tree = {}
    for path, source in sources.items():
        sharding = first_device if place is None else place(path, shapes[path])
        tree[path] = _read_leaf(files, source, shapes[path], dtype, sharding)
    return unflatten_dict(tree, sep="/"), {name: files.read(key) for name, key in carried.items()}


def find_prefixes(stored: Iterable[str], table: Table) -> tuple[str, ...]:
    """Find, for each part of the table, the prefix under which most of its names are stored."""
    stored = list(stored)

    def count(part: Part, prefix: str) -> int:
        names = (name.removeprefix(prefix) for name in stored if name.startswith(prefix))
        return sum(part.find(name) != () for name in names)

    return tuple(max(part.prefixes, key=partial(count, part)) for part in table)


def find_sources(
    table: Table, prefixes: tuple[str, ...], shapes: dict[str, tuple[int, ...]]
) -> dict[str, Source]:
    """Return the source of each leaf by path, in the order of ``shapes``.

    Raises:
      ValueError: the family has no tensor for a leaf.
    """
    known = {
        leaf: (prefix + name, part.find(name), LAYOUTS[layout])
        for part, prefix in zip(table, prefixes, strict=True)
        for name, (_, layout) in part.weights.items()
        for leaf in part.find(name)
    }
    sources = {}
    for path, shape in shapes.items():
        if path not in known:
            raise ValueError(
                f"parameter {path!r}: the Hugging Face model of this family has none; known are "
                f"{', '.join(sorted(known))}"
            )
        name, leaves, layout = known[path]
        stacked = "{}" in name
        names = tuple(map(name.format, range(shape[0]))) if stacked else (name,)
        first_axis = 1 if stacked else 0
        stored = [layout.stored_shape(shapes[leaf][first_axis:]) for leaf in leaves]
        starts = list(accumulate((rows for rows, *_ in stored), initial=0))
        whole = starts[-1], *stored[0][1:]
        start = starts[leaves.index(path)]
        sources[path] = Source(names, whole, leaves, start, layout, stacked)
    return sources


def check_source(files: TensorFiles, source: Source) -> None:
    for name in source.names:
        if name not in files:
            raise ValueError(
                f"{files.where}: tensor {name!r} is missing: expected shape {source.shape}, found "
                "none"
            )
        if files.shape(name) != source.shape:
            raise ValueError(
                f"{files.path(name)}: tensor {name!r}: expected shape {source.shape}, "
                f"found {files.shape(name)}"
            )


def _explain_rest(
    files: TensorFiles,
    table: Table,
    prefixes: tuple[str, ...],
    sources: dict[str, Source],
    unused: re.Pattern | None,
) -> dict[str, str]:
    """Return {published name: stored name} of carried tensors; refuse unexplained ones."""
    read = {name for source in sources.values() for name in source.names}
    carried = {}
    for stored in files:
        if stored in read or IGNORED.search(stored) or (unused and unused.search(stored)):
            continue
        for part, prefix in zip(table, prefixes, strict=True):
            if not stored.startswith(prefix):
                continue
            name = stored.removeprefix(prefix)
            leaves = part.find(name)
            spare = part.spare_layers and any(leaf in sources for leaf in leaves)
            if spare or part.carries(name):
                carried[part.prefixes[0] + name] = stored
                break
            if leaves and part.tied_to is not None:
                _check_equal(files, stored, *sources[part.tied_to].names)
                break
        else:
            raise ValueError(
                f"{files.path(stored)}: tensor {stored!r} is unexpected: expected the {len(read)} "
                "tensors that the configuration asks for; do both belong together?"
            )
    return carried


def _check_equal(files: TensorFiles, name: str, original: str) -> None:
    """Check that a stored head repeats the embedding that it is tied to."""
    rows = (slice(at, at + _ROWS) for at in range(0, max(files.shape(name)[:1]), _ROWS))
    if files.shape(name) != files.shape(original) or not all(
        np.array_equal(files.read(name, (part,)), files.read(original, (part,))) for part in rows
    ):
        raise ValueError(
            f"{files.path(name)}: tensor {name!r}: expected the values of {original!r}, to which "
            "config.json ties it, found other values; set tie_word_embeddings to false to keep both"
        )


def _read_leaf(
    files: TensorFiles, source: Source, shape: tuple[int, ...], dtype, sharding: Sharding
) -> jax.Array:
    if dtype is None:
        dtype = files.dtype(source.names[0])
        for name in source.names:
            if files.dtype(name) != dtype:
                raise ValueError(
                    f"{files.path(name)}: tensor {name!r}: expected {dtype}, the dtype of "
                    f"{source.names[0]!r}, found {files.dtype(name)}; ask for one dtype for all"
                )
    dtype = jnp.dtype(dtype)
    pieces: dict[tuple, np.ndarray] = {}  # a part that several devices hold is read once

    def read_piece(index: tuple[slice, ...]) -> np.ndarray:
        ends = tuple(part.indices(size)[:2] for part, size in zip(index, shape, strict=True))
        if ends not in pieces:
            inner = tuple(slice(*pair) for pair in ends)
            pieces[ends] = _read_piece(files, source, inner, dtype)
        return pieces[ends]

    return jax.make_array_from_callback(shape, sharding, read_piece, dtype=dtype)


def _read_piece(
    files: TensorFiles, source: Source, index: tuple[slice, ...], dtype: np.dtype
) -> np.ndarray:
    """Read the part ``index`` of a leaf, layer by layer, into one array."""
    layout = source.layout
    inner = index[1:] if source.stacked else index
    rows, *others = layout.stored_index(inner)
    rows = slice(source.start + rows.start, source.start + rows.stop)

    def read(name: str) -> np.ndarray:
        return layout.ours(files.read(name, (rows, *others)), inner)

    if not source.stacked:
        return read(source.names[0]).astype(dtype, order="C")
    names = source.names[index[0]]
    piece = np.empty((len(names), *(part.stop - part.start for part in inner)), dtype)

    for layer, name in enumerate(names):
        piece[layer] = read(name)
    return piece


def write_tree(
    folder: Path,
    tree: dict,
    carried: dict[str, np.ndarray],
    table: Table,
    *,
    dtype=None,
    prefixes: tuple[str, ...] | None = None,
    max_shard_bytes: int = 5_000_000_000,
) -> None:
    """Write the weights of a Hugging Face folder: ``model.safetensors``, or shards and their index.

    Every process makes the same call; the first one writes.

    Args:
      tree, carried: as ``read_tree`` returns them.
      table: the table of the family.
      dtype: dtype of all tensors; None keeps that of each.
      prefixes: as ``find_prefixes`` returns them; None writes the published names, which every
        version of transformers reads.
      max_shard_bytes: limit of a file's size, which only a single larger tensor may exceed.

    Raises:
      ValueError: the folder already holds weights, or the family has no tensor for a leaf.
    """
    folder = Path(folder)
    for name in (SINGLE, INDEX):
        if (folder / name).exists():
            raise ValueError(f"{folder / name}: exists already; export to a new folder")
    tensors = list_tensors(tree, table, prefixes, dtype)
    for name, values in carried.items():
        kind = values.dtype if dtype is None else jnp.dtype(dtype)
        renamed = _rename(name, table, prefixes or _published(table))
        tensors.append(Pending(renamed, kind, values.shape, partial(np.asarray, values)))
    shards = _split(tensors, max_shard_bytes)
    if len(shards) == 1:
        write_together(folder / SINGLE, tensors)
        return
    where = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_together(folder / name, shard)
        where.update((tensor.name, name) for tensor in shard)
    if is_first():
        size = sum(tensor.bytes for tensor in tensors)
        write_json(folder / INDEX, {"metadata": {"total_size": size}, "weight_map": where})
    wait_for_all(str(folder / INDEX))


def list_tensors(
    tree: dict, table: Table, prefixes: tuple[str, ...] | None = None, dtype=None
) -> list[Pending]:
    """List the tensors that files hold for a tree, layer by layer.

    Raises:
      ValueError: the family has no tensor for a leaf.
    """
    prefixes = prefixes or _published(table)
    leaves = flatten_dict(tree, sep="/")
    sources = find_sources(table, prefixes, {path: np.shape(x) for path, x in leaves.items()})
    tensors = []
    for path, source in sources.items():
        if path != source.leaves[0]:
            continue  # the tensors of the first leaf hold this one too
        together = [leaves[leaf] for leaf in source.leaves]
        kind = jnp.dtype(together[0].dtype if dtype is None else dtype)
        for layer, name in enumerate(source.names):
            values = partial(_fetch, together, layer if source.stacked else None, source.layout)
            tensors.append(Pending(name, kind, source.shape, values))
    return tensors


def _fetch(leaves: list[jax.Array], layer: int | None, layout: Layout) -> np.ndarray:
    """Fetch one layer of a tensor's leaves to the host, in the layout of the files."""
    chosen = (leaf if layer is None else take_layer(leaf, layer) for leaf in leaves)
    first, *others = (layout.stored(fetch(leaf)) for leaf in chosen)
    return np.concatenate([first, *others]) if others else first


def _rename(name: str, table: Table, prefixes: tuple[str, ...]) -> str:
    """Return a published name with another prefix."""
    for part, prefix in zip(table, prefixes, strict=True):
        if name.startswith(part.prefixes[0]):
            return prefix + name.removeprefix(part.prefixes[0])
    return name


def _published(table: Table) -> tuple[str, ...]:
    return tuple(part.prefixes[0] for part in table)


def _split(tensors: list[Pending], max_bytes: int) -> list[list[Pending]]:
    """Split a list into shards of at most ``max_bytes`` or of a single tensor."""
    shards: list[list[Pending]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.bytes > max_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.bytes
    return shards


def write_together(path: Path, tensors: list[Pending]) -> None:
    """Write one file from the first process; the others take part in gathering its tensors."""
    if is_first():
        write_file(path, tensors)
    else:
        for tensor in tensors:
            tensor.values()
    wait_for_all(str(path))
