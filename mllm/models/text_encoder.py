"""A text encoder in BERT's layout (Devlin et al. 2019, arXiv:1810.04805).

It maps a text to a vector of length 1, along the mean of its tokens' last states (Reimers and
Gurevych 2019, arXiv:1908.10084).

B texts, T tokens of a text, D width, V vocabulary, P positions.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import ACTIVATIONS, Dense, LayerNorm
from mllm.ops.attention import Structure, attention, every_query_sees


@dataclass(frozen=True)
class TextEncoderConfig:
    """Shape of the encoder.

    Attributes:
      positions: P, the most tokens of a text.
      kinds: rows of the table for the parts of a pair of texts; a text alone takes row 0.
    """

    vocab_size: int
    positions: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    kinds: int = 2
    norm_eps: float = 1e-12
    activation: str = "gelu"


class TextBlock(nn.Module):
    """A layer with its norms after the sums."""

    config: TextEncoderConfig

    @nn.compact
    def __call__(self, x: jax.Array, structure: Structure):
        """Run one layer on float[B, T, D]; return (result, None)."""
        c = self.config
        heads = (*x.shape[:2], c.heads, c.width // c.heads)
        q, k, v = (Dense(c.width, True, name=name)(x).reshape(heads) for name in "qkv")
        h = Dense(c.width, True, name="o")(attention(q, k, v, structure).reshape(x.shape))
        x = LayerNorm(c.norm_eps, name="attention_norm")(x + h)
        h = ACTIVATIONS[c.activation](Dense(c.mlp_width, True, name="fc1")(x))
        h = Dense(c.width, True, name="fc2")(h)
        return LayerNorm(c.norm_eps, name="mlp_norm")(x + h), None


class TextEncoder(nn.Module):
    config: TextEncoderConfig

    @nn.compact
    def __call__(self, tokens: jax.Array, real: jax.Array) -> jax.Array:
        """Return the last states float[B, T, D] of tokens i32[B, T]; those that are not ``real``,
        bool[B, T], change nothing.
        """
        c = self.config
        first = nn.initializers.normal(0.02)
        embed = self.param("embed", first, (c.vocab_size, c.width))
        position = self.param("position", first, (c.positions, c.width))
        kinds = self.param("kinds", first, (c.kinds, c.width))
        x = jnp.take(embed, tokens, axis=0) + position[: tokens.shape[1]] + kinds[0]
        x = LayerNorm(c.norm_eps, name="norm")(x)
        x, _ = nn.scan(
            TextBlock,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=c.layers,
        )(c, name="layers")(x, every_query_sees(real, tokens.shape[1]))
        return x


def embed_texts(
    config: TextEncoderConfig, variables: dict, tokens: jax.Array, real: jax.Array
) -> jax.Array:
    """Return float32[B, D], of length 1, of texts.

    Args:
      tokens: i32[B, T]. real: bool[B, T], at least one of each text.
    """
    states = TextEncoder(config).apply(variables, tokens, real)
    weights = real[..., None].astype(states.dtype)
    mean = jnp.sum(states * weights, axis=1) / jnp.sum(weights, axis=1)
    return mean / jnp.linalg.norm(mean, axis=-1, keepdims=True)


def abstract(config: TextEncoderConfig) -> dict:
    """Return the variables as ShapeDtypeStructs."""
    tokens, real = (jax.ShapeDtypeStruct((1, 1), kind) for kind in (jnp.int32, jnp.bool_))
    return jax.eval_shape(TextEncoder(config).init, jax.random.key(0), tokens, real)
