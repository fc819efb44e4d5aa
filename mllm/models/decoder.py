"""A Llama-type decoder (Llama, Mistral, Qwen2, Phi-3): RMSNorm, rotary positions, grouped heads,
gated MLP; layers stacked on axis 0 and scanned.

B batch, T tokens, S cache slots, N nodes of a level, D width, H heads, K key-value heads, C head
width, F MLP width, L layers, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import ACTIVATIONS, Dense, RMSNorm, kept, remat, side_by_side
from mllm.ops.attention import Structure, attention
from mllm.ops.cascade import Keys, cascade
from mllm.ops.kv import KeyValues, keep, read
from mllm.ops.rope import RopeScaling, apply_rope, rope_angles


class Level(NamedTuple):
    """What has been read before: N nodes of S tokens each. B rows continue them evenly, row r the
    node r // (B / N).

    Attributes:
      layers: the keys and values of each layer, as ``mllm.ops.kv`` keeps them.
      positions, segments: i32[N, S]; segment -1 is padding.
    """

    layers: tuple[KeyValues, ...]
    positions: jax.Array
    segments: jax.Array

    def keys(self, layer: int) -> Keys:
        """Return what a layer reads here."""
        return Keys(**self.layers[layer], positions=self.positions, segments=self.segments)


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of the decoder.

    Attributes:
      max_positions: the most tokens of prompt and reply together.
      qkv_bias, o_bias, mlp_bias: which projections have biases (Qwen2: q, k and v).
      window: how many keys a query sees in each layer, its own included (Mistral 7B); None: all.
      spoken: how many tokens, the first ones, the head may predict; None: all of ``vocab_size``.
      lora_dropout: share of a low-rank update's inputs that is dropped, given a dropout key.
      remat: a policy of ``mllm.models.layers``, "auto", or None.
      kv_form: a form of ``mllm.ops.kv`` for keys and values that are kept, in which every token
        then reads them, its own too; "" keeps them as computed.
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
    spoken: int | None = None
    lora_dropout: float = 0.0
    remat: str | None = None
    kv_form: str = ""


class Block(nn.Module):
    config: DecoderConfig

    @nn.compact
    def __call__(self, x, angles, structure: Structure, attend: Callable | None = None):
        """Run one layer on float[B, T, D]; return (its output, what ``attend`` keeps).

        Args:
          attend: ``attend(q, k, v) -> (float[B, T, H, C], kept)``, used instead of attention among
            the T tokens by ``structure``.
        """
        c = self.config
        batch, tokens, _ = x.shape

        def dense(features: int, name: str, bias: bool) -> Dense:
            return Dense(features, bias, c.lora_dropout, name=name)

        h = RMSNorm(c.norm_eps, name="attention_norm")(x)
        counts = {"q": c.heads, "k": c.kv_heads, "v": c.kv_heads}
        maps = [dense(count * c.head_dim, n, c.qkv_bias) for n, count in counts.items()]
        q, k, v = (
            y.reshape(batch, tokens, count, c.head_dim)
            for y, count in zip(side_by_side(h, maps), counts.values(), strict=True)
        )
        q, k = kept("query", apply_rope(q, angles)), kept("key", apply_rope(k, angles))
        v = kept("value", v)
        if attend is None:
            y, held = attention(q, k, v, structure, window=c.window), None
        else:
            y, held = attend(q, k, v)
        x = kept("residual", x + dense(c.width, "o", c.o_bias)(y.reshape(batch, tokens, -1)))
        h = RMSNorm(c.norm_eps, name="mlp_norm")(x)
        gate, up = side_by_side(h, [dense(c.mlp_width, n, c.mlp_bias) for n in ("gate", "up")])
        gate = ACTIVATIONS[c.activation](kept("gate", gate))
        x = x + dense(c.width, "down", c.mlp_bias)(gate * kept("up", up))
        return x, held


class Decoder(nn.Module):
    config: DecoderConfig

    def setup(self):
        c = self.config
        shape = (c.vocab_size, c.width)
        # With smaller embeddings, what the first layer reads of the image drowns them, and a model
        # trained from scratch is slow to learn to see.
        self.table = self.param("embed", nn.initializers.normal(c.width**-0.5), shape)
        if not c.tied:
            self.output = self.param("head", nn.initializers.lecun_normal(), shape[::-1])
        self.layers = nn.scan(
            remat(Block, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=nn.broadcast,
            length=c.layers,
            # A loop would copy what each layer keeps for the backward pass into a stack.
            unroll=c.layers if c.remat is None else 1,
        )(c)
        self.norm = RMSNorm(c.norm_eps)

    def embed(self, tokens: jax.Array, dtype) -> jax.Array:
        """Return the embeddings float[B, T, D] of tokens i32[B, T]."""
        return jnp.take(self.table, tokens, axis=0).astype(dtype)

    def head(self) -> jax.Array:
        """Return float[D, V], the map from final states to logits of the tokens spoken."""
        head = self.table.T if self.config.tied else self.output
        return head if self.config.spoken is None else head[:, : self.config.spoken]

    def __call__(
        self,
        x: jax.Array,
        structure: Structure,
        *,
        layers: Sequence[dict] | None = None,
        above: Sequence[Level] = (),
        cache: Level | None = None,
        write_at: jax.Array | int = 0,
    ) -> tuple[jax.Array, Level | None]:
        """Return the final normed states of embedded tokens.

        Args:
          x: float[B, T, D].
          structure: of the T tokens among themselves; rotary positions are its query positions.
          layers: {"params": ..., "lora"?: ...} of each layer, to run them one by one and keep keys
            and values; None scans over the stacked layers and keeps nothing.
          above: levels that the tokens see in addition to themselves.
          cache: a level of B nodes. Keys and values of these tokens are written to its slots from
            ``write_at`` on, and the tokens see all of it.

        Returns:
          (float[B, T, D]; the cache with the new keys and values, or, without a cache, the level
          of these tokens; None if the layers are scanned).
        """
        c = self.config
        positions, segments = structure.query_positions, structure.query_segments
        angles = rope_angles(positions, c.head_dim, c.rope_theta, c.rope_scaling)
        if layers is None:
            x, _ = self.layers(x, angles, structure)
            return self.norm(x), None
        kept, slots = [], (positions, segments)
        if cache is not None:
            slots = cache.positions, cache.segments
        for number, layer in enumerate(layers):

            def attend(q, k, v, number=number):
                held = keep(k, v, c.kv_form)
                if cache is None and not above:
                    return attention(q, *read(held, q.dtype), structure, window=c.window), held
                if cache is not None:
                    held = _write(cache.layers[number], held, write_at)
                levels = [level.keys(number) for level in above]
                levels.append(Keys(**held, positions=slots[0], segments=slots[1]))
                return cascade(q, positions, segments, levels, window=c.window), held

            x, held = Block(c, parent=None).apply(layer, x, angles, structure, attend)
            kept.append(held)
        return self.norm(x), Level(tuple(kept), *slots)


def _write(cache: KeyValues, new: KeyValues, at: jax.Array | int) -> KeyValues:
    return {
        name: jax.lax.dynamic_update_slice_in_dim(
            cache[name], new[name].astype(cache[name].dtype), at, axis=1
        )
        for name in new
    }
