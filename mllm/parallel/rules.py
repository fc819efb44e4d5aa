"""Where each parameter lies: one ordered table from path to axes, for weights, adapters, moments
and the rest of an optimizer's state alike.
"""

import math
import re
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

ROW_AXES = ("data", "fsdp")

# The first match counts. Axes are those of the last dimensions: layers are stacked in front and
# never split. A matrix is split over fsdp along one side and over tensor along the other, so that
# heads and hidden units stay whole on a device; an adapter follows its matrix, but its rank is
# never split. There is no catch-all: a parameter without a rule is a mistake to be seen.
RULES: tuple[tuple[str, tuple], ...] = (
    (r"decoder/embed$", ("tensor", "fsdp")),
    (r"decoder/head$", ("fsdp", "tensor")),
    (r"lora/(.+/)?(o|down|fc2)/a$", (("tensor", "fsdp"), None)),
    (r"lora/(.+/)?(o|down|fc2)/b$", (None, "fsdp")),
    (r"lora/.+/a$", ("fsdp", None)),
    (r"lora/.+/b$", (None, ("tensor", "fsdp"))),
    (r"/(q|k|v|gate|up|fc1)/w$", ("fsdp", "tensor")),
    (r"/(q|k|v|gate|up|fc1)/b$", ("tensor",)),
    (r"/(o|down|fc2)/w$", ("tensor", "fsdp")),
    # A scale an output channel of an int8 matrix lies as those channels do.
    (r"/(q|k|v|gate|up|fc1)/w_scale$", ("tensor",)),
    (r"/(o|down|fc2)/w_scale$", ("fsdp",)),
    (r"connector/w$", ("fsdp", "tensor")),
    (r"vision/patch/w$", (None, "fsdp")),
    (r"vision/position$", (None, "fsdp")),
    (r"resampler/latents$", (None, "fsdp")),
    # Vectors are small, and each device needs the whole of them.
    (r"/(o|down|fc2|patch)/b$", ()),
    (r"vision/class_token$", ()),
    (r"(norm|attention_scale|mlp_scale)/(scale|b)$", ()),
    (r"ns_coeffs$", ()),  # of Muon's polynomial
)


def spec_of(path: str, shape: tuple[int, ...], mesh: Mesh) -> P:
    """The PartitionSpec of an array; an axis that does not divide its dimension leaves it whole,
    and a scalar lies on every device.

    Raises:
      ValueError: no rule matches the path.
    """
    if not shape:
        return P()
    for pattern, axes in RULES:
        if re.search(pattern, path):
            return _spec([None] * (len(shape) - len(axes)) + list(axes), shape, mesh)
    raise ValueError(
        f"no sharding rule matches parameter {path!r}; add one to mllm/parallel/rules.py"
    )


def row_devices(mesh: Mesh | None) -> int:
    """Devices over which the rows of a batch are split on a mesh; one without a mesh."""
    return 1 if mesh is None else math.prod(mesh.shape[axis] for axis in ROW_AXES)


def rows_spec(rows: int, mesh: Mesh) -> P:
    """The PartitionSpec of arrays [rows, ...] of a batch: split over data and fsdp."""
    return _spec([ROW_AXES], (rows,), mesh)


def shardings(tree: Any, mesh: Mesh) -> Any:
    """The tree of NamedShardings of a tree of arrays or ShapeDtypeStructs."""

    def place(path, leaf):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return NamedSharding(mesh, spec_of(name, leaf.shape, mesh))

    return jax.tree_util.tree_map_with_path(place, tree)


def replicated_share(tree: Any, mesh: Mesh) -> float:
    """The share of a tree's bytes, in [0, 1], that lies whole on every device of a mesh."""
    whole = total = 0
    for leaf, place in zip(
        jax.tree.leaves(tree), jax.tree.leaves(shardings(tree, mesh)), strict=True
    ):
        size = math.prod(leaf.shape) * leaf.dtype.itemsize
        total += size
        whole += size if place.is_fully_replicated else 0
    return whole / total


def _spec(axes: list, shape: tuple[int, ...], mesh: Mesh) -> P:
    fitting = [_fitting(axis, size, mesh) for axis, size in zip(axes, shape, strict=True)]
    while fitting and fitting[-1] is None:
        fitting.pop()
    return P(*fitting)


def _fitting(axis, size: int, mesh: Mesh):
    """Of one dimension's axes those, from the first on, whose devices divide its size; an axis of
    one device splits nothing.
    """
    names = () if axis is None else (axis,) if isinstance(axis, str) else axis
    fitting = ()
    for name in names:
        if mesh.shape[name] > 1 and size % math.prod(mesh.shape[n] for n in (*fitting, name)) == 0:
            fitting = (*fitting, name)
    return None if not fitting else fitting[0] if len(fitting) == 1 else fitting
