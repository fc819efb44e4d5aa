"""Named TPUs and GPUs, for which programs are compiled without the devices."""

import importlib
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
from jax._src.cudnn import fused_attention_stablehlo as fused_attention
from jax.experimental import topologies

GIB = 2**30
H100_MEMORY = 84_942_979_072
# What the compiler asks about an H100 SXM: units per multiprocessor (registers, threads, bytes of
# shared memory), bytes per second of memory, the versions of cuDNN and CUDA that it may call.
H100 = {
    "gpu_device_info": {
        "cuda_compute_capability": {"major": 9},
        "core_count": 132,
        "fpus_per_core": 128,
        "clock_rate_ghz": 1.98,
        "threads_per_warp": 32,
        "threads_per_block_limit": 1024,
        "threads_per_core_limit": 2048,
        "block_dim_limit_x": 2**31 - 1,
        "block_dim_limit_y": 2**16 - 1,
        "block_dim_limit_z": 2**16 - 1,
        "registers_per_block_limit": 2**16,
        "registers_per_core_limit": 2**16,
        "shared_memory_per_block": 48 * 2**10,
        "shared_memory_per_block_optin": 227 * 2**10,
        "shared_memory_per_core": 228 * 2**10,
        "l2_cache_size": 50 * 2**20,
        "memory_bandwidth": 3_352_320_000_000,
        "device_memory_size": H100_MEMORY,
    },
    "platform_name": "CUDA",
    "device_description_str": "NVIDIA H100 80GB HBM3",
    "dnn_version_info": {"major": 9, "minor": 10},
    "runtime_version": {"major": 12, "minor": 8, "patch": 0},
}
GPU_COMPILER = Path(sys.prefix) / "gpu"  # where the Makefile puts it
# Name -> bytes of memory per device. jax.experimental.topologies knows the shapes of TPUs.
TOPOLOGIES = {
    **dict.fromkeys(("v5e:2x2", "v5e:2x4", "v5e:4x4", "v5e:8x8", "v5e:16x16"), 16 * GIB),
    **dict.fromkeys(("v5p:2x2x1", "v5p:2x2x2", "v5p:4x4x4"), 95 * GIB),
    **dict.fromkeys(("v6e:2x2", "v6e:4x4", "v6e:16x16"), 32 * GIB),
    **dict.fromkeys(("h100:1", "h100:2", "h100:4", "h100:8"), H100_MEMORY),
}


def devices_of(topology: str) -> tuple[Sequence, int]:
    """Return (devices to compile for, bytes of memory of each); "local" means the attached devices.

    Raises:
      ValueError: the name is unknown, or it is "local" and the devices do not report their memory.
      ModuleNotFoundError: the compiler is not installed.
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
    chip, _, shape = topology.partition(":")
    found = _gpus(topology, f"1x1x{shape}") if chip == "h100" else _tpus(topology)
    return found, TOPOLOGIES[topology]


def compile_fast(lowered: jax.stages.Lowered, device) -> jax.stages.Compiled:
    """Compile for a device of ``devices_of``, with what the compiler can do without it.

    For a TPU it makes the least effort: memory and collectives are nearly those of the fastest
    program, in a fifth of the time; a jax without this option compiles as usual. For a GPU products
    are those of cuBLAS: Triton's are chosen by timing them, and untimed ones may not compile.
    """
    if device in jax.devices():
        return lowered.compile()
    if device.platform == "gpu":
        return lowered.compile(compiler_options={"xla_gpu_enable_triton_gemm": False})
    if device.platform == "tpu" and jax.__version_info__ < (0, 11):
        return lowered.compile(compiler_options={"exec_time_optimization_effort": -1.0})
    return lowered.compile()


def _tpus(topology: str) -> Sequence:
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
    return topologies.get_topology_desc(platform="tpu", topology_name=topology).devices


def _gpus(topology: str, shape: str) -> Sequence:
    """Return the GPUs of a shape: slices x hosts x devices of a host."""
    jax.devices()  # a backend that is chosen later could be the GPU's, which has no device here
    describe = partial(
        topologies.get_topology_desc, platform="cuda", target_config=_text(H100), topology=shape
    )
    try:
        found = describe()
    except NotImplementedError:  # no plugin of jax is installed that knows CUDA
        _load_gpu_compiler(topology)
        found = describe()
    _assume_cudnn()
    return found.devices


def _load_gpu_compiler(topology: str) -> None:
    """Register the compiler of ``GPU_COMPILER`` with jax.

    Raises:
      ModuleNotFoundError: it is not there.
    """
    sys.path.append(str(GPU_COMPILER))
    os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")  # the libraries are not needed
    try:
        plugin = importlib.import_module("jax_plugins.xla_cuda12")
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            f"--topology {topology}: compiling for a GPU needs jax's compiler for CUDA in "
            f"{GPU_COMPILER}; `make {GPU_COMPILER.parent.name}/.installed-gpu` puts it there"
        ) from None
    plugin.initialize()


def _assume_cudnn() -> None:
    """Let jax lower calls of cuDNN: it looks for the library and asks the attached GPU, if any."""
    if jax.default_backend() == "gpu":
        return
    major, minor = H100["dnn_version_info"].values()
    capability = H100["gpu_device_info"]["cuda_compute_capability"]["major"]
    fused_attention.check_cudnn_version = lambda: 10_000 * major + 100 * minor
    fused_attention.check_compute_capability = lambda least: capability >= float(least)


def _text(message: dict) -> str:
    """Return nested values as a protocol buffer's text."""
    parts = []
    for name, value in message.items():
        if isinstance(value, dict):
            parts.append(f"{name} {{ {_text(value)} }}")
        else:
            parts.append(f'{name}: "{value}"' if isinstance(value, str) else f"{name}: {value}")
    return " ".join(parts)
