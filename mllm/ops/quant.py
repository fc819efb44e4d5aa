"""Layer matrices in int8 with one scale per output channel, for weights that are not trained."""

import jax
import jax.numpy as jnp

LEVELS = 127  # on either side of zero


def quantise(variables: dict, *, donate: bool = False) -> dict:
    """Quantise the matrices of a model's layers to int8.

    Each leaf ``w`` float[..., I, O] below ``layers`` becomes ``w`` int8[..., I, O] and ``w_scale``
    float32[..., O], by symmetric absmax quantisation of each column (Dettmers et al. 2022,
    arXiv:2208.07339, section 2, which also quantises the inputs). Embeddings, head, norms, biases
    and projectors are unchanged, and so are matrices that are int8 already, and the autoencoder of
    pictures, whose codes would be others. Layers may be stacked or split.

    Args:
      variables: of a model, with adapters merged.
      donate: delete each matrix once it is quantised, so that the weights are never held twice;
        ``variables`` cannot be used afterwards.

    Raises:
      ValueError: the tree has adapters.
    """
    return _quantise(variables, donate, within=False)


@jax.jit
def quantise_matrix(weight: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Quantise float[..., I, O] to (int8[..., I, O], scale float32[..., O]).

    Each entry of ``weight`` is within half a scale of its int8 value times its column's scale.
    """
    weight = weight.astype(jnp.float32)
    scale = jnp.max(jnp.abs(weight), axis=-2) / LEVELS
    steps = weight / jnp.where(scale > 0, scale, 1)[..., None, :]
    return jnp.round(steps).astype(jnp.int8), scale


def _quantise(tree, donate: bool, within: bool):
    if isinstance(tree, tuple):
        return tuple(_quantise(part, donate, within) for part in tree)
    if not isinstance(tree, dict):
        return tree
    if "lora" in tree:
        raise ValueError("quantise: found adapters ('lora'), expected merged weights; merge_lora")
    done = {
        name: part if name == "codec" else _quantise(part, donate, within or name == "layers")
        for name, part in tree.items()
    }
    if within and "w" in tree and "w_scale" not in tree:
        done["w"], done["w_scale"] = quantise_matrix(tree["w"])
        if donate:
            tree["w"].delete()
    return done
