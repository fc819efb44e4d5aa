"""The device mesh: data (rows of a batch), fsdp (weights and rows), tensor (heads and hidden
units).
"""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

AXES = ("data", "fsdp", "tensor")


def make_mesh(data: int = 1, fsdp: int = -1, tensor: int = 1) -> Mesh:
    """A mesh over all devices; one size may be -1 and takes what is left.

    Raises:
      ValueError: the sizes do not multiply to the number of devices.
    """
    sizes, count = [data, fsdp, tensor], len(jax.devices())
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = count // max(-int(np.prod(sizes)), 1)
    if int(np.prod(sizes)) != count or min(sizes) < 1:
        shape = ", ".join(f"{n}={s}" for n, s in zip(AXES, (data, fsdp, tensor), strict=True))
        raise ValueError(f"mesh ({shape}) does not fit {count} devices")
    # Auto: the compiler places what the rules leave open; jax's own default differs between
    # versions.
    return jax.make_mesh(tuple(sizes), AXES, axis_types=(AxisType.Auto,) * len(AXES))
