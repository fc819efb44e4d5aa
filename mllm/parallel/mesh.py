"""The device mesh: data (rows), fsdp (weights and rows) and tensor (heads and hidden units)."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

AXES = ("data", "fsdp", "tensor")


def make_mesh(
    data: int = 1, fsdp: int = -1, tensor: int = 1, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """Make a mesh over ``devices``; None takes all devices of all processes.

    One size may be -1, which takes all the devices that the other sizes leave.

    Raises:
      ValueError: the sizes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes, count = [data, fsdp, tensor], len(devices)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = count // max(-int(np.prod(sizes)), 1)
    if int(np.prod(sizes)) != count or min(sizes) < 1:
        shape = ", ".join(f"{n}={s}" for n, s in zip(AXES, (data, fsdp, tensor), strict=True))
        raise ValueError(f"mesh ({shape}) does not fit {count} devices")
    # Auto lets the compiler place what the rules leave open; the default of jax depends on its
    # version.
    kinds = (AxisType.Auto,) * len(AXES)
    return jax.make_mesh(tuple(sizes), AXES, axis_types=kinds, devices=devices)


def one_device() -> Mesh:
    """Return the mesh of this process's first device, the default place of a model."""
    return make_mesh(devices=jax.local_devices()[:1])


def mesh_of(tree: dict) -> Mesh | None:
    """Return the mesh of a tree's arrays, or None if they were placed without one."""
    leaf = jax.tree.leaves(tree)[0]
    return getattr(getattr(leaf, "sharding", None), "mesh", None)
