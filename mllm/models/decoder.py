"""A Llama-type decoder: RMSNorm, rotary positions, grouped heads, SwiGLU; layers stacked on axis 0
and scanned.

B batch, T tokens, S cache slots, D width, H heads, K key-value heads, C head width, F MLP width, L
layers, V vocabulary.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import Dense, RMSNorm, remat
from mllm.ops.attention import Structure, attention
from mllm.ops.rope import apply_rope, rope_angles

Cache = dict[str, jax.Array]  # {"k", "v"}: float[L, B, S, K, C]


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of the decoder; ``remat`` names a policy of ``mllm.models.layers``."""

    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_width: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    tied: bool = True
    max_positions: int = 2048
    remat: str | None = None


class Block(nn.Module):
    config: DecoderConfig

    @nn.compact
    def __call__(self, x, angles, structure: Structure, write_at, cache: Cache | None):
        """One layer on float[B, T, D]; with a cache its keys and values are written at slot
        ``write_at`` first.
        """
        c = self.config
        batch, tokens, _ = x.shape
        h = RMSNorm(c.norm_eps, name="attention_norm")(x)
        q = Dense(c.heads * c.head_dim, name="q")(h).reshape(batch, tokens, c.heads, c.head_dim)
        k = Dense(c.kv_heads * c.head_dim, name="k")(h).reshape(batch, tokens, c.kv_heads, -1)
        v = Dense(c.kv_heads * c.head_dim, name="v")(h).reshape(batch, tokens, c.kv_heads, -1)
        q, k = apply_rope(q, angles), apply_rope(k, angles)
        if cache is not None:
            new = {"k": k, "v": v}
            cache = {
                name: jax.lax.dynamic_update_slice_in_dim(
                    cache[name], new[name].astype(cache[name].dtype), write_at, axis=1
                )
                for name in new
            }
            k, v = cache["k"], cache["v"]
        y = attention(q, k, v, structure).reshape(batch, tokens, -1)
        x = x + Dense(c.width, name="o")(y)
        h = RMSNorm(c.norm_eps, name="mlp_norm")(x)
        gate = jax.nn.silu(Dense(c.mlp_width, name="gate")(h))
        x = x + Dense(c.width, name="down")(gate * Dense(c.mlp_width, name="up")(h))
        return x, cache


class Decoder(nn.Module):
    config: DecoderConfig

    def setup(self):
        c = self.config
        shape = (c.vocab_size, c.width)
        self.table = self.param("embed", nn.initializers.normal(0.02), shape)
        if not c.tied:
            self.output = self.param("head", nn.initializers.lecun_normal(), shape[::-1])
        self.layers = nn.scan(
            remat(Block, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, nn.broadcast, nn.broadcast, 0),
            length=c.layers,
        )(c)
        self.norm = RMSNorm(c.norm_eps)

    def embed(self, tokens: jax.Array, dtype) -> jax.Array:
        """float[B, T, D] embeddings of i32[B, T] tokens."""
        return jnp.take(self.table, tokens, axis=0).astype(dtype)

    def head(self) -> jax.Array:
        """float[D, V], the map from final states to logits."""
        return self.table.T if self.config.tied else self.output

    def __call__(
        self,
        x: jax.Array,
        positions: jax.Array,
        structure: Structure,
        *,
        cache: Cache | None = None,
        write_at: jax.Array | int = 0,
    ) -> tuple[jax.Array, Cache | None]:
        """Final normed states of embedded tokens.

        Args:
          x: float[B, T, D].
          positions: i32[B, T], rotary positions.
          structure: T queries against T keys, or against the S cache slots when a cache is given.
          cache: keys and values so far, or None.
          write_at: the slot of the first of these T tokens.

        Returns:
          (float[B, T, D], the cache with the new keys and values).
        """
        angles = rope_angles(positions, self.config.head_dim, self.config.rope_theta)
        x, cache = self.layers(x, angles, structure, write_at, cache)
        return self.norm(x), cache
