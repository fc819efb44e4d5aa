"""Where each parameter lies: one ordered table from path to PartitionSpec, for weights, adapters
and moments alike.
"""

import re

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

# The first match counts; layers are stacked on axis 0, which is never split. There is no catch-all:
# a parameter without a rule is a mistake to be seen.
RULES: tuple[tuple[str, P], ...] = (
    (r"decoder/embed$", P("tensor", "fsdp")),
    (r"decoder/head$", P("fsdp", "tensor")),
    (r"layers/(q|k|v|gate|up|fc1)/(w|b|a)$", P(None, "fsdp", "tensor")),
    (r"layers/(o|down|fc2)/w$", P(None, "tensor", "fsdp")),
    (r"layers/(o|down|fc2)/(a|b)$", P(None, "tensor", "fsdp")),
    (r"projector/fc[12]/w$", P("fsdp", "tensor")),
    (r"vision/patch/w$", P(None, "fsdp")),
    (r"vision/(class_token|position)$", P()),
    (r"(norm|attention_scale|mlp_scale)/(scale|b)$", P()),
    (r"(projector/fc[12]|vision/patch)/b$", P()),
)


def spec_of(path: str, shape: tuple[int, ...], mesh: Mesh) -> P:
    """The PartitionSpec of a parameter; an axis that does not divide its dimension leaves it whole.

    Raises:
      ValueError: no rule matches the path.
    """
    for pattern, spec in RULES:
        if re.search(pattern, path):
            axes = tuple(spec)[: len(shape)]
            fits = (
                a if a and n % mesh.shape[a] == 0 else None
                for a, n in zip(axes, shape, strict=False)
            )
            return P(*fits)
    raise ValueError(
        f"no sharding rule matches parameter {path!r}; add one to mllm/parallel/rules.py"
    )


def shardings(tree: dict, mesh: Mesh) -> dict:
    """The tree of NamedShardings of a tree of arrays or ShapeDtypeStructs."""

    def place(path, leaf):
        name = "/".join(str(getattr(key, "key", key)) for key in path)
        return NamedSharding(mesh, spec_of(name, leaf.shape, mesh))

    return jax.tree_util.tree_map_with_path(place, tree)
