"""The perceiver resampler of Idefics2 (Laurençon et al. 2024, arXiv:2405.02246, section 3.2): a few
learned latents read all features of an image.

B images, N features, Q latents, D width, H heads, K key-value heads, C head width.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import ACTIVATIONS, Dense, RMSNorm
from mllm.ops.attention import Structure, attention, every_query_sees


@dataclass(frozen=True)
class ResamplerConfig:
    """Shape of the resampler; ``latents`` is the number of tokens that an image becomes."""

    latents: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_width: int
    norm_eps: float = 1e-6
    activation: str = "silu"
    lora_dropout: float = 0.0


class ResamplerBlock(nn.Module):
    config: ResamplerConfig

    @nn.compact
    def __call__(self, latents: jax.Array, context: jax.Array, structure: Structure):
        """Let latents float[B, Q, D] attend to context float[B, N, D] and to themselves."""
        c = self.config

        def dense(features: int, name: str) -> Dense:
            return Dense(features, lora_dropout=c.lora_dropout, name=name)

        h = RMSNorm(c.norm_eps, name="latents_norm")(latents)
        read = jnp.concatenate([RMSNorm(c.norm_eps, name="context_norm")(context), h], axis=1)
        q, k, v = (
            dense(count * c.head_dim, name)(x).reshape(*x.shape[:2], count, c.head_dim)
            for name, count, x in (
                ("q", c.heads, h),
                ("k", c.kv_heads, read),
                ("v", c.kv_heads, read),
            )
        )
        y = attention(q, k, v, structure).reshape(*h.shape[:2], -1)
        latents = latents + dense(c.width, "o")(y)
        h = RMSNorm(c.norm_eps, name="mlp_norm")(latents)
        gate = ACTIVATIONS[c.activation](dense(c.mlp_width, "gate")(h))
        return latents + dense(c.width, "down")(gate * dense(c.mlp_width, "up")(h)), None


class Resampler(nn.Module):
    config: ResamplerConfig

    @nn.compact
    def __call__(self, context: jax.Array, real: jax.Array) -> jax.Array:
        """Read those features float[B, N, D] that are true in bool[B, N]; return float[B, Q, D]."""
        c = self.config
        table = self.param("latents", nn.initializers.ones, (c.latents, c.width))
        latents = jnp.broadcast_to(table.astype(context.dtype), (len(context), *table.shape))
        keys = jnp.concatenate([real, jnp.ones((len(context), c.latents), bool)], axis=1)
        latents, _ = nn.scan(
            ResamplerBlock,
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(nn.broadcast, nn.broadcast),
            length=c.layers,
        )(c, name="layers")(latents, context, every_query_sees(keys, c.latents))
        return RMSNorm(c.norm_eps, name="norm")(latents)
