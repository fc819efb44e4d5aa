"""The map from vision features to the decoder's embedding space (LLaVA-1.5, Liu et al. 2023,
arXiv:2310.03744).
"""

from dataclasses import dataclass

import flax.linen as nn
import jax

from mllm.models.layers import ACTIVATIONS, Dense


@dataclass(frozen=True)
class ProjectorConfig:
    """Two layers with an activation between; ``pool`` averages pool x pool neighbouring patches
    first.
    """

    mlp_width: int
    width: int
    activation: str = "gelu"
    pool: int = 1
    bias: bool = True
    lora_dropout: float = 0.0


class Projector(nn.Module):
    config: ProjectorConfig

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Map features float[B, N, D_vision] to float[B, N / pool^2, D]."""
        c = self.config
        if c.pool > 1:
            features = mean_pool(features, c.pool)
        h = Dense(c.mlp_width, c.bias, c.lora_dropout, name="fc1")(features)
        return Dense(c.width, c.bias, c.lora_dropout, name="fc2")(ACTIVATIONS[c.activation](h))


def mean_pool(features: jax.Array, pool: int) -> jax.Array:
    """Average a square grid of float[B, N, D] features over pool x pool cells, row by row."""
    batch, count, width = features.shape
    side = round(count**0.5) // pool
    cells = features.reshape(batch, side, pool, side, pool, width)
    return cells.mean(axis=(2, 4)).reshape(batch, side * side, width)
