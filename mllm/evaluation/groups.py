"""How many rows are asked at once: as many as memory holds, fewer when it turns out too small."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp

from mllm.checkpoints.loaded import Loaded
from mllm.ops.kv import bytes_kept
from mllm.parallel.launch import is_first
from mllm.parallel.mesh import mesh_of
from mllm.parallel.rules import row_devices

Unit = TypeVar("Unit")

UNKNOWN = 80  # rows at once where a device does not report its memory
MOST = 320  # with more, a decoding step is bound by arithmetic and gains nothing
SHARE = 0.7  # of the free memory; the rest is for what the estimate leaves out


def group_size(loaded: Loaded, tokens: int, rows: int = 1) -> int:
    """Return how many units are asked at once, by the memory that the weights leave free.

    Args:
      tokens: slots that a unit takes, its prefix, questions and replies together. Each holds keys
        and values in every layer, and a few states and hidden units while it is read.
      rows: questions of a unit.
    """
    device = next(iter(jax.tree.leaves(loaded.variables)[0].devices()))
    memory = device.memory_stats() or {}
    if "bytes_limit" not in memory:
        return max(1, UNKNOWN // rows)
    c, size = loaded.config.decoder, jnp.dtype(loaded.config.dtype).itemsize
    kept = 2 * c.layers * c.kv_heads * bytes_kept(c.head_dim, loaded.config.dtype, c.kv_form)
    passing = size * (4 * c.width + 3 * c.mlp_width)
    free = SHARE * (memory["bytes_limit"] - memory["bytes_in_use"])
    fitting = int(free / (tokens * (kept + passing)))
    return max(1, min(MOST // rows, fitting)) * row_devices(mesh_of(loaded.variables))


def in_groups(
    units: Sequence[Unit], most: int, ask: Callable[[Sequence[Unit], int], Iterator[list]]
) -> Iterator[list]:
    """Yield what ``ask(group, size)`` yields, for groups of at most ``most`` units.

    All groups have the same size but for the last one. Where a device runs out of memory, the size
    is halved, which is printed, and the group is asked again. Several processes would halve at
    different times: there the error is raised.

    Raises:
      jax.errors.JaxRuntimeError: not even one unit fits, or another error of the device.
    """
    size = -(-len(units) // -(-len(units) // most)) if units else most
    first = 0
    while first < len(units):
        try:
            found = list(ask(units[first : first + size], size))
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error) or size == 1 or jax.process_count() > 1:
                raise
            size //= 2
            if is_first():
                print(f"out of memory: going on with {size} units at once", file=sys.stderr)
            continue
        yield from found
        first += size
