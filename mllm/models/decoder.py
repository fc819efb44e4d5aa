"""A Llama-type decoder (Llama, Mistral, Qwen2, Phi-3): RMSNorm, rotary positions, grouped heads,
gated MLP; layers stacked on axis 0 and scanned.

B batch, T tokens, S cache slots, D width, H heads, K key-value heads, C head width, F MLP width, L
layers, V vocabulary.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import ACTIVATIONS, Dense, RMSNorm, remat
from mllm.ops.attention import Structure, attention
from mllm.ops.rope import RopeScaling, apply_rope, rope_angles

Cache = dict[str, jax.Array]  # {"k", "v"}: float[L, B, S, K, C]


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of the decoder.

    Attributes:
      max_positions: prompt and reply together may not be longer.
      qkv_bias, o_bias, mlp_bias: which projections have biases (Qwen2: q, k and v).
      window: keys that a query sees in each layer, itself among them (Mistral 7B); None for all.
      lora_dropout: share of a low-rank update's inputs that is dropped where a key is given.
      remat: a policy of ``mllm.models.layers``.
    """

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
    activation: str = "silu"
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    rope_scaling: RopeScaling | None = None
    window: int | None = None
    lora_dropout: float = 0.0
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

        def dense(features: int, name: str, bias: bool) -> Dense:
            return Dense(features, bias, c.lora_dropout, name=name)

        h = RMSNorm(c.norm_eps, name="attention_norm")(x)
        counts = {"q": c.heads, "k": c.kv_heads, "v": c.kv_heads}
        q, k, v = (
            dense(count * c.head_dim, name, c.qkv_bias)(h).reshape(batch, tokens, count, c.head_dim)
            for name, count in counts.items()
        )
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
        y = attention(q, k, v, structure, window=c.window).reshape(batch, tokens, -1)
        x = x + dense(c.width, "o", c.o_bias)(y)
        h = RMSNorm(c.norm_eps, name="mlp_norm")(x)
        gate = ACTIVATIONS[c.activation](dense(c.mlp_width, "gate", c.mlp_bias)(h))
        x = x + dense(c.width, "down", c.mlp_bias)(gate * dense(c.mlp_width, "up", c.mlp_bias)(h))
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
            split_rngs={"params": True, "dropout": True},
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
        c = self.config
        angles = rope_angles(positions, c.head_dim, c.rope_theta, c.rope_scaling)
        x, cache = self.layers(x, angles, structure, write_at, cache)
        return self.norm(x), cache
