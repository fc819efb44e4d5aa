"""Keep the rows of a batch split over devices while a model computes."""

import contextlib

import flax.linen as nn
import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.parallel.rules import ROW_AXES, row_devices


def keep_rows(mesh: Mesh | None) -> contextlib.AbstractContextManager:
    """Constrain the states between the layers of a model that is traced within this context.

    States float[B, T, D] are split by rows over data and fsdp, and whole in T and D. Without a mesh
    there is no constraint.

    Weights that are split over fsdp should be gathered for each layer (Zhao et al. 2023,
    arXiv:2304.11277). Without the constraint, the compiler instead splits the states along D with
    the weights and gathers the rows, so that every device holds the states of the whole batch.
    Models name no mesh axes, so the constraint is set here, from outside.
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
        # The output of a linear map (heads or hidden units) follows the split of its matrix over
        # tensor. Constraining only its rows gave wrong gradients on a 2 x 2 x 2 mesh (XLA of jax
        # 0.10.2).
        if context.module.has_variable("params", "w"):
            return out
        if not isinstance(out, tuple):
            return keep(out)
        rest = keep(out[0]), *out[1:]
        return type(out)(*rest) if hasattr(out, "_fields") else rest

    return nn.intercept_methods(intercept)
