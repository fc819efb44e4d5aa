"""What an adapter of PEFT changes in the parameters below it."""

from dataclasses import dataclass, field

import jax
import numpy as np

from mllm.ops.lora import merge_update


@dataclass
class Change:
    """What an adapter changes in a leaf; None is the layer of a leaf that is not stacked.

    Attributes:
      values: new values of layers.
      tokens: (rows of the stored matrix, their new values [N, D]).
      updates: layer -> (a [I, R], b [R, O], magnitude [O] or None).
      added: layer -> what is added to a bias.
      rows_first: whether the rows of the stored matrix lie on axis 0 of the leaf.
    """

    values: dict[int | None, np.ndarray] = field(default_factory=dict)
    tokens: tuple[list[int], np.ndarray] | None = None
    updates: dict[int | None, tuple[np.ndarray, np.ndarray, np.ndarray | None]] = field(
        default_factory=dict
    )
    added: dict[int | None, np.ndarray] = field(default_factory=dict)
    rows_first: bool = True

    def apply(self, leaf: jax.Array) -> jax.Array:
        """Return the changed leaf, of the same type and in the same place."""
        kept = jax.jit(lambda x: x, out_shardings=leaf.sharding)
        for layer, values in self.values.items():
            values = values.astype(leaf.dtype)
            if layer is None:
                leaf = jax.make_array_from_callback(
                    leaf.shape, leaf.sharding, lambda index, whole=values: whole[index]
                )
            else:
                leaf = kept(leaf.at[layer].set(values))
        for layer, values in self.added.items():
            whole = (...,) if layer is None else (layer,)
            leaf = kept(leaf.at[whole].add(values.astype(leaf.dtype)))
        if self.tokens is not None:
            rows, values = np.array(self.tokens[0]), self.tokens[1].astype(leaf.dtype)
            changed = (
                leaf.at[rows].set(values) if self.rows_first else leaf.at[:, rows].set(values.T)
            )
            leaf = kept(changed)
        merge = jax.jit(_merge_layer, out_shardings=leaf.sharding)
        for layer, (a, b, magnitude) in self.updates.items():
            leaf = merge(leaf, layer, a, b, magnitude)
        return leaf


def _merge_layer(leaf, layer, a, b, magnitude):
    if layer is None:
        return merge_update(leaf, a, b, magnitude)
    return leaf.at[layer].set(merge_update(leaf[layer], a, b, magnitude))
