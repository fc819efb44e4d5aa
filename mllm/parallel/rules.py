"""Where each parameter lies on the mesh: one ordered table from paths to axes.

It serves weights, adapters and the state of the optimizer.
"""

import math
import re
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

ROW_AXES = ("data", "fsdp")

# The first match counts. The axes are those of the last dimensions: layers are stacked in front and
# never split. A matrix is split over fsdp along one side and over tensor along the other, so that
# heads and hidden units stay whole on a device. An adapter is split like its matrix, except for its
# rank. There is no default rule, so a parameter without one raises an error.
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
    # The scales of an int8 matrix are split like its output channels.
    (r"/(q|k|v|gate|up|fc1)/w_scale$", ("tensor",)),
    (r"/(o|down|fc2)/w_scale$", ("fsdp",)),
    (r"connector/w$", ("fsdp", "tensor")),
    (r"vision/(\w+/)?patch/w$", (None, "fsdp")),
    (r"vision/(\w+/)?position$", (None, "fsdp")),
    (r"vision/\w+/((cells|whole|neck/\w+)/w|registers)$", (None, "fsdp")),
    (r"vision/\w+/(global|window)_(rows|columns)$", ()),
    (r"vision/\w+/cells/b$", ()),
    (r"(^|/)audio/(patch|conv1|conv2)/w$", (None, "fsdp")),
    (r"(^|/)audio/position$", (None, "fsdp")),
    (r"audio_projector/w$", ("fsdp", "tensor")),
    (r"audio_projector/b$", ("tensor",)),
    # Of the fusion, what encoders are read by is split like keys and values of a decoder.
    (r"fusion/(.+/)?self_o/w$", ("tensor", "fsdp")),
    (r"fusion/(.+/)?self_o/b$", ()),
    (r"fusion/(.+/)?(k|v|view|self)_\w+/w$", ("fsdp", "tensor")),
    (r"fusion/(.+/)?self_\w+/b$", ("tensor",)),
    (r"fusion/(.+/)?(asked|choice/text)/w$", ("fsdp", "tensor")),
    (r"fusion/(.+/)?choice/text/b$", ("tensor",)),
    (r"fusion/(.+/)?choice/score_\w+/(w|b)$", ()),
    (r"fusion/(keys|sets)$", (None, "fsdp")),
    (r"fusion/(.+/)?(own_)?norm_\w+/(scale|b)$", ()),
    (r"fusion/(before|after)/(first|last|squeeze|excite)/w$", ("fsdp", "tensor")),
    (r"fusion/(before|after)/(squeeze|excite)/b$", ()),
    (r"fusion/((before|after)/mix|position)$", (None, "fsdp")),
    (r"resampler/latents$", (None, "fsdp")),
    (r"codec/\w+/(patch|code|pixels|join|spread)/w$", (None, "fsdp")),
    (r"codec/\w+/(position|queries)$", (None, "fsdp")),
    (r"params/position$", (None, "fsdp")),
    (r"table$", ("tensor", "fsdp")),
    (r"/(input|hidden|features)/w$", ("fsdp", "tensor")),
    (r"/(input|hidden)/b$", ("tensor",)),
    # Vectors are small, and each device needs all of them.
    (r"/(o|down|fc2|patch|conv1|conv2)/b$", ()),
    (r"codec/\w+/(code|pixels|join|spread)/b$", ()),
    (r"codec/(codebook|usage|mean)$", ()),  # every device looks for the nearest of all codes
    (r"vision/(\w+/)?class_token$", ()),
    (r"params/item_bias$", ()),
    (r"(^|/)newline$", ()),
    (r"(norm|attention_scale|mlp_scale)/(scale|b)$", ()),
    (r"ns_coeffs$", ()),  # coefficients of Muon's polynomial
)


def spec_of(path: str, shape: tuple[int, ...], mesh: Mesh) -> P:
    """Return the PartitionSpec of an array.

    A dimension that an axis does not divide stays whole, and a scalar lies on every device.

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
    """Return the number of devices that the rows of a batch are split over; 1 without a mesh."""
    return 1 if mesh is None else math.prod(mesh.shape[axis] for axis in ROW_AXES)


def rows_spec(rows: int, mesh: Mesh) -> P:
    """Return the PartitionSpec of a batch's arrays [rows, ...], split over data and fsdp."""
    return _spec([ROW_AXES], (rows,), mesh)


def shardings(tree: Any, mesh: Mesh) -> Any:
    """Return the NamedShardings of a tree of arrays or ShapeDtypeStructs."""

    def place(path, leaf):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return NamedSharding(mesh, spec_of(name, leaf.shape, mesh))

    return jax.tree_util.tree_map_with_path(place, tree)


def stacked_shardings(tree: Any, mesh: Mesh) -> Any:
    """Return the NamedShardings of several trees of equal shapes whose leaves were stacked in
    front: each lies as it would alone.
    """
    alone = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), tree)
    return jax.tree.map(
        lambda place: NamedSharding(mesh, P(None, *place.spec)), shardings(alone, mesh)
    )


def replicated_share(tree: Any, mesh: Mesh) -> float:
    """Return the share of a tree's bytes, in [0, 1], that lies whole on every device of a mesh."""
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
    """Return the leading axes of a dimension whose devices divide its size.

    An axis of one device is left out, because it splits nothing.
    """
    names = () if axis is None else (axis,) if isinstance(axis, str) else axis
    fitting = ()
    for name in names:
        if mesh.shape[name] > 1 and size % math.prod(mesh.shape[n] for n in (*fitting, name)) == 0:
            fitting = (*fitting, name)
    return None if not fitting else fitting[0] if len(fitting) == 1 else fitting
