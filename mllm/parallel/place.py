"""From the host to the mesh and back: trees by the rules, batches by rows, results whole."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.parallel.rules import row_devices, rows_spec, shardings


def place(tree: Any, mesh: Mesh) -> Any:
    """Lay a tree over the mesh by the rules.

    Every process gives the same tree: arrays of the host, of its own device, or of the mesh.
    """
    return jax.tree.map(_put, tree, shardings(tree, mesh))


def make_on(mesh: Mesh, make: Callable, *arguments) -> Any:
    """The tree ``make(*arguments)``, computed in its places by the rules, never whole on one
    device.
    """
    places = shardings(jax.eval_shape(make, *arguments), mesh)
    return jax.jit(make, out_shardings=places)(*arguments)


def place_rows(batch: dict[str, Any], mesh: Mesh | None) -> dict[str, Any]:
    """Split the rows of a batch over data and fsdp; without a mesh the batch stays as it is.

    Every process gives the whole batch, float or int [R, ...] each. Where the devices do not divide
    R, the last row is repeated behind the others, its ``weight``, where there is one, set to 0.
    """
    if mesh is None:
        return batch
    rows = len(next(iter(batch.values())))
    missing = -rows % row_devices(mesh)
    split = NamedSharding(mesh, rows_spec(rows + missing, mesh))
    placed = {}
    for name, values in batch.items():
        full = np.asarray(values)
        if missing:
            full = np.concatenate([full, np.repeat(full[-1:], missing, axis=0)])
            if name == "weight":
                full[rows:] = 0
        placed[name] = _put(full, split)
    return placed


def fetch(array: jax.Array) -> np.ndarray:
    """The whole of an array, on every process."""
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return np.asarray(array)
    whole = NamedSharding(array.sharding.mesh, P())
    return np.asarray(jax.device_put(array, whole))


@jax.jit
def take_layer(stack: jax.Array, layer: jax.Array) -> jax.Array:
    """``stack[layer]``, one program for all layers of a leaf."""
    return jax.lax.dynamic_index_in_dim(stack, layer, keepdims=False)


def _put(value, sharding: NamedSharding) -> jax.Array:
    if isinstance(value, jax.Array) and (
        sharding.is_fully_addressable or not value.is_fully_addressable
    ):
        return jax.device_put(value, sharding)
    # Each device takes its part of the same host array. What processes hold need not follow the
    # rows: where the tensor axis spans processes, several of them hold the same rows.
    full = np.asarray(value)
    return jax.make_array_from_callback(full.shape, sharding, lambda index: full[index])
