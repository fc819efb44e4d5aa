"""Run a kernel that the compiler cannot split on a mesh: each device takes some rows and heads."""

from collections.abc import Callable

import jax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from mllm.parallel.rules import ROW_AXES, row_devices


def kernels_on(mesh: Mesh | None) -> tuple[str, Callable | None]:
    """Return the arguments (platform, split) of ``mllm.ops.attention.kernels_for`` for a mesh.

    The devices of the mesh are those that the program is compiled for; they need not be attached.
    None stands for the default device.
    """
    if mesh is None:
        return jax.default_backend(), None
    platform = mesh.devices.flat[0].platform
    if mesh.size == 1:
        return platform, None

    def split(kernel: Callable, q, k, v, structure):
        rows, heads = ROW_AXES, "tensor"
        if q.shape[0] % row_devices(mesh):
            rows = None
        if k.shape[2] % mesh.shape[heads]:
            heads = None
        states, places = P(rows, None, heads), P(rows)
        specs = (states, states, states, places)
        return jax.shard_map(kernel, mesh=mesh, in_specs=specs, out_specs=states, check_vma=False)(
            q, k, v, structure
        )

    return platform, split
