"""What the neurons of a decoder's MLPs do on some rows, and the decoder without some of them.

A neuron is a hidden unit of an MLP, the product of its gate and its up projection. L layers, R
rows, T tokens, F neurons of a layer.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from mllm.models.states import neurons_of_layers
from mllm.ops.attention import kernels_for
from mllm.parallel.kernels import kernels_on
from mllm.parallel.states import keep_rows

MEDIA, TEXT = "media", "text"  # rows that show a medium, and rows that do not
Activity = dict[str, dict[str, jax.Array]]


def mean_activity(
    model,
    config,
    variables: dict[str, Any],
    batches: Iterable[dict],
    functions: Mapping[str, Callable[[jax.Array], jax.Array]],
    *,
    mesh: Mesh,
) -> Activity:
    """Return means over the real tokens of rows, prompts and media among them, for each neuron.

    Args:
      batches: packed rows on ``mesh``, each once.
      functions: of activations float[..., F], by name.

    Returns:
      {"media" or "text": {name of a function: float32[L, F]}}; a kind that no row is of is absent.
    """

    @jax.jit
    def sums(variables: dict, batch: dict):
        shown = [(one["slots"] >= 0).any(1) for one in batch.get("media", {}).values()]
        seen = jnp.any(jnp.stack(shown), 0) if shown else jnp.zeros(len(batch["weight"]), bool)
        real = (batch["segments"] >= 0) * batch["weight"][:, None]
        tokens = jnp.stack([real * seen[:, None], real * ~seen[:, None]])
        with keep_rows(mesh), kernels_for(*kernels_on(mesh)):
            layers = [
                {
                    name: jnp.einsum("krt,rtf->kf", tokens, of(z.astype(jnp.float32)))
                    for name, of in functions.items()
                }
                for z in neurons_of_layers(model, config, variables, batch)
            ]
        return tokens.sum((1, 2)), jax.tree.map(lambda *each: jnp.stack(each, 1), *layers)

    totals = [sums(variables, batch) for batch in batches]
    if not totals:
        return {}
    counts, values = jax.tree.map(lambda *each: sum(each), *totals)
    return {
        kind: {name: total[k] / counts[k] for name, total in values.items()}
        for k, kind in enumerate((MEDIA, TEXT))
        if counts[k] > 0
    }


def without_neurons(decoder: dict[str, Any], removed: jax.Array) -> dict[str, Any]:
    """Return the parameters of a decoder whose neurons bool[L, F] ``removed`` are always 0 and are
    read by nothing.
    """

    def changed(path: tuple, leaf: jax.Array) -> jax.Array:
        keys = tuple(one.key for one in path)
        gone = removed if leaf.ndim == 2 else removed[:, None, :]
        if keys[:1] == ("layers",) and keys[1] in ("gate", "up"):
            return jnp.where(gone, 0, leaf)
        if keys == ("layers", "down", "w"):
            return jnp.where(removed[:, :, None], 0, leaf)
        return leaf

    return jax.tree_util.tree_map_with_path(changed, decoder)
