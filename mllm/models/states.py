"""The states between the layers of a decoder, to see what each layer knows.

B rows, T tokens, L layers, D width, V vocabulary.
"""

import jax
import jax.numpy as jnp

from mllm.models.decoder import Block, Decoder
from mllm.models.media import place_all
from mllm.models.multimodal import Batch, Variables, split_layers
from mllm.ops.attention import causal
from mllm.ops.rope import rope_angles


def layer_states(model, config, variables: Variables, batch: Batch) -> jax.Array:
    """Return float[L + 1, B, T, D]: the embeddings of a batch with the tokens of its media, then
    what each layer makes of them, before the final norm.

    Args:
      model: the functions of a family.
      batch: ``tokens``, ``positions``, ``segments`` i32[B, T] and, if it shows any, ``media`` (see
        ``mllm.models.multimodal``).
    """
    shape, positions = config.decoder, batch["positions"]
    media = model.encode_media(config, variables, batch.get("media", {}))
    x = place_all(_embed(config, variables, batch["tokens"]), media)
    structure = causal(positions, batch["segments"])
    angles = rope_angles(positions, shape.head_dim, shape.rope_theta, shape.rope_scaling)
    states = [x]
    for layer in split_layers(variables)["layers"]:
        x, _ = Block(shape, parent=None).apply(layer, x, angles, structure)
        states.append(x)
    return jnp.stack(states)


def embedding_table(config, variables: Variables) -> jax.Array:
    """Return float[V, D], the embedding of each token."""
    return _embed(config, variables, jnp.arange(config.decoder.vocab_size))


def _embed(config, variables: Variables, tokens: jax.Array) -> jax.Array:
    own = {"params": variables["params"]["decoder"]}
    return Decoder(config.decoder).apply(own, tokens, config.dtype, method="embed")
