"""Rows stay where they are while a model computes."""

import contextlib

import flax.linen as nn
import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.parallel.rules import ROW_AXES, row_devices


def keep_rows(mesh: Mesh | None) -> contextlib.AbstractContextManager:
    """While this is entered, the states float[B, T, D] between the layers of a model that is traced
    are split by rows over data and fsdp, and whole in T and D. Without a mesh nothing is said.

    Weights that are split over fsdp are to be gathered for a layer (Zhao et al. 2023,
    arXiv:2304.11277). Left to itself, the compiler rather splits the states along with them and
    gathers the rows: every device then holds the states of the whole batch. Models name no mesh
    axes, so it is said here, from outside.
    """
    count = row_devices(mesh)
    if count == 1:
        return contextlib.nullcontext()
    split = NamedSharding(mesh, P(ROW_AXES))

    def keep(value):
        states = isinstance(value, jax.Array) and value.ndim == 3 and value.shape[0] % count == 0
        return jax.lax.with_sharding_constraint(value, split) if states else value

    def intercept(method, arguments, options, context):
        out = method(*arguments, **options)
        # What a linear map returns, heads or hidden units, is left to the split of its matrix over
        # tensor. To ask for its rows alone gave wrong gradients on a mesh of 2 x 2 x 2 (XLA of jax
        # 0.10.2).
        if context.module.has_variable("params", "w"):
            return out
        return (keep(out[0]), *out[1:]) if isinstance(out, tuple) else keep(out)

    return nn.intercept_methods(intercept)
