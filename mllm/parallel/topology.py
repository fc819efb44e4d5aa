"""Named TPU topologies, for which programs are compiled without the devices."""

import os
from collections.abc import Sequence

import jax
from jax.experimental import topologies

GIB = 2**30
# Name -> bytes of memory per device. jax.experimental.topologies knows the shapes.
TOPOLOGIES = {
    **dict.fromkeys(("v5e:2x2", "v5e:2x4", "v5e:4x4", "v5e:8x8", "v5e:16x16"), 16 * GIB),
    **dict.fromkeys(("v5p:2x2x1", "v5p:2x2x2", "v5p:4x4x4"), 95 * GIB),
    **dict.fromkeys(("v6e:2x2", "v6e:4x4", "v6e:16x16"), 32 * GIB),
}


def devices_of(topology: str) -> tuple[Sequence, int]:
    """Return (devices to compile for, bytes of memory of each); "local" means the attached devices.

    Raises:
      ValueError: the name is unknown, or it is "local" and the devices do not report their memory.
      ModuleNotFoundError: libtpu, which holds the compiler, is not installed.
    """
    if topology == "local":
        stats = jax.devices()[0].memory_stats() or {}
        if "bytes_limit" not in stats:
            kind = jax.devices()[0].device_kind
            raise ValueError(f"--topology local: device {kind!r} does not report its memory")
        return jax.devices(), stats["bytes_limit"]
    if topology not in TOPOLOGIES:
        known = ", ".join(f"{name} ({size // GIB} GiB)" for name, size in TOPOLOGIES.items())
        raise ValueError(
            f"unknown topology {topology!r}; known, with the memory of a chip: {known}, or local"
        )
    memory = TOPOLOGIES[topology]
    # Several processes may compile at once, and there is no TPU to query.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-4")
    os.environ.setdefault("TPU_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TPU_STDERR_LOG_LEVEL", "3")
    try:
        import libtpu  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"--topology {topology}: compiling for a TPU needs the package libtpu; install "
            "requirements-tpu.txt"
        ) from None
    found = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    return found.devices, memory
