"""Move arrays from the host to the mesh and back: trees by the rules, batches by rows."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.parallel.rules import row_devices, rows_spec, shardings


def place(tree: Any, mesh: Mesh) -> Any:
    """Place a tree on the mesh by the rules.

    Every process passes the same tree, of arrays on the host, on its own device, or on the mesh.
    """
    return jax.tree.map(_put, tree, shardings(tree, mesh))


def make_on(mesh: Mesh, make: Callable, *arguments, **static) -> Any:
    """Compute the tree ``make(*arguments, **static)`` in its place on the mesh, never whole on one
    device.

    Calls of the same function with arguments of the same shapes share a program.

    Args:
      static: hashable values, which are part of the program.
    """
    places = shardings(jax.eval_shape(partial(make, **static), *arguments), mesh)
    program = jax.jit(make, static_argnames=tuple(static), out_shardings=places)
    return program(*arguments, **static)


def place_rows(
    batch: dict[str, Any], mesh: Mesh | None, *, put: Callable | None = None
) -> dict[str, Any]:
    """Split the rows of a batch over data and fsdp; without a mesh, return the batch unchanged.

    Every process passes the whole batch, a tree of arrays [R, ...] of floats or integers. If the
    number of devices does not divide R, copies of the last row are appended; their ``weight``, if
    the batch has one, is 0.

    Args:
      put: what becomes of an array and its sharding; None places it.
    """
    if mesh is None:
        return batch
    rows = len(jax.tree.leaves(batch)[0])
    missing = -rows % row_devices(mesh)
    split = NamedSharding(mesh, rows_spec(rows + missing, mesh))

    put = put or _put

    def split_rows(path, values):
        full = np.asarray(values)
        if missing:
            full = np.concatenate([full, np.repeat(full[-1:], missing, axis=0)])
            if path[-1].key == "weight":
                full[rows:] = 0
        return put(full, split)

    return jax.tree_util.tree_map_with_path(split_rows, batch)


def fetch(array: jax.Array) -> np.ndarray:
    """Return the whole of an array, on every process."""
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return np.asarray(array)
    whole = NamedSharding(array.sharding.mesh, P())
    return np.asarray(jax.device_put(array, whole))


@jax.jit
def take_layer(stack: jax.Array, layer: jax.Array) -> jax.Array:
    """Return ``stack[layer]`` with one compiled program for all layers of a leaf."""
    return jax.lax.dynamic_index_in_dim(stack, layer, keepdims=False)


def _put(value, sharding: NamedSharding) -> jax.Array:
    if isinstance(value, jax.Array) and (
        sharding.is_fully_addressable or not value.is_fully_addressable
    ):
        return jax.device_put(value, sharding)
    # Each device takes its part of the same host array. Processes need not hold different rows: if
    # the tensor axis spans processes, several of them hold the same ones.
    full = np.asarray(value)
    return jax.make_array_from_callback(full.shape, sharding, lambda index: full[index])
