"""Run a kernel that the compiler cannot split on a mesh: each device takes some rows and heads."""

import os
from collections.abc import Callable

import jax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from mllm.parallel.rules import ROW_AXES, row_devices

# Compute capabilities whose multiprocessors have 160 KiB of shared memory or more: A100 to B300.
LARGE = {"8.0", "8.7", "9.0", "10.0", "10.1", "10.3", "11.0"}


def kernels_on(mesh: Mesh | None) -> tuple[str, Callable | None, str | None]:
    """Return the arguments (platform, split, impl) of ``mllm.ops.attention.kernels_for``.

    The devices of the mesh are those that the program is compiled for; they need not be attached.
    None stands for the default device. ``impl`` is what the environment variable
    ``MLLM_ATTENTION`` says, to compare implementations or to avoid one that fails.
    """
    device = jax.devices()[0] if mesh is None else mesh.devices.flat[0]
    platform, impl = device.platform, os.environ.get("MLLM_ATTENTION") or None
    if platform == "gpu" and str(getattr(device, "compute_capability", "")) not in LARGE:
        platform = "small gpu"
    # A kernel for one device that is not attached is split too: inside, jax knows what it is for.
    if mesh is None or (mesh.size == 1 and device in jax.devices()):
        return platform, None, impl

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

    return platform, split, impl
