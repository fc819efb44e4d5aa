"""SASRec: self-attention over a history (Kang & McAuley 2018, arXiv:1808.09781).

Two blocks of one head and width 64, each a residual attention and a residual feed-forward network
of the same width behind a layer norm (section III-C), learned positions, no output projection.

R rows, T places, W width, H heads.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.benchmarks.msr.baselines.items import SPREAD
from mllm.benchmarks.msr.baselines.recommender import Shape, dropped
from mllm.benchmarks.msr.baselines.sequences import Network, recommender
from mllm.models.layers import Dense, LayerNorm
from mllm.ops.attention import Structure, attention, causal

EPSILON = 1e-8  # of the layer norms, as published


class Block(nn.Module):
    shape: Shape

    @nn.compact
    def __call__(self, x, structure: Structure, rate, keys) -> tuple[jax.Array, None]:
        """Run one block on float32[R, T, W]; ``keys`` are of the two dropouts, or None."""
        rows, places, width = x.shape
        after_attention, after_network = (None, None) if keys is None else keys
        heads = (rows, places, self.shape.heads, width // self.shape.heads)
        h = LayerNorm(EPSILON, name="attention_norm")(x)
        q, k, v = (Dense(width, name=name)(h).reshape(heads) for name in ("q", "k", "v"))
        y = attention(q, k, v, structure).reshape(x.shape)
        x = x + dropped(y, rate, after_attention)
        h = LayerNorm(EPSILON, name="mlp_norm")(x)
        h = jax.nn.relu(Dense(width, True, name="fc1")(h))
        return x + dropped(Dense(width, True, name="fc2")(h), rate, after_network), None


class SasRec(Network):
    def setup_reader(self):
        shape = self.shape
        size = (shape.length, shape.width)
        self.position = self.param("position", nn.initializers.normal(SPREAD), size)
        self.blocks = nn.scan(
            Block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, nn.broadcast, 0),
            length=shape.blocks,
            unroll=shape.blocks,
        )(shape)
        self.norm = LayerNorm(EPSILON)

    def read(self, x, segments, rate, key):
        places = jnp.arange(x.shape[1])
        keys = first = None
        if key is not None:
            first, rest = jax.random.split(key)
            keys = jax.random.split(rest, (self.shape.blocks, 2))
        x = x * self.shape.width**0.5 + self.position[places]
        structure = causal(jnp.broadcast_to(places, segments.shape), segments, plain=True)
        x, _ = self.blocks(dropped(x, rate, first), structure, rate, keys)
        return self.norm(x)


SASREC = recommender(SasRec)
