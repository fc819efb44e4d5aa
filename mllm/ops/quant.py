"""Matrices of layers as int8 with one scale an output channel, for weights that are only read."""

import jax
import jax.numpy as jnp

LEVELS = 127  # on either side of zero


def quantise(variables: dict, *, give_up: bool = False) -> dict:
    """The same model with the matrices of its layers in int8: each leaf ``w`` float[..., I, O]
    below ``layers`` becomes ``w`` int8[..., I, O] beside ``w_scale`` float32[..., O].

    Symmetric absmax quantisation, vector by vector (Dettmers et al. 2022, arXiv:2208.07339,
    section 2; there inputs are quantised as well). Embeddings, head, norms, biases and projectors
    stay. Stacked and split layers are taken alike, and what is int8 already stays as it is.

    Args:
      variables: of a model, adapters merged.
      give_up: delete each matrix when it is quantised, so that no second copy of the weights ever
        is; ``variables`` can not be used afterwards.

    Raises:
      ValueError: a tree with adapters.
    """
    return _quantise(variables, give_up, within=False)


@jax.jit
def quantise_matrix(weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(int8[..., I, O], scale float32[..., O]) of float[..., I, O]: no entry of ``weight`` is
    further than half a scale from its int8 value times the scale of its column.
    """
    weight = weight.astype(jnp.float32)
    scale = jnp.max(jnp.abs(weight), axis=-2) / LEVELS
    steps = weight / jnp.where(scale > 0, scale, 1)[..., None, :]
    return jnp.round(steps).astype(jnp.int8), scale


def _quantise(tree, give_up: bool, within: bool):
    if isinstance(tree, tuple):
        return tuple(_quantise(part, give_up, within) for part in tree)
    if not isinstance(tree, dict):
        return tree
    if "lora" in tree:
        raise ValueError("quantise: found adapters ('lora'), expected merged weights; merge_lora")
    done = {
        name: _quantise(part, give_up, within or name == "layers") for name, part in tree.items()
    }
    if within and "w" in tree and "w_scale" not in tree:
        done["w"], done["w_scale"] = quantise_matrix(tree["w"])
        if give_up:
            tree["w"].delete()
    return done
