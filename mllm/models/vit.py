"""A vision transformer in CLIP's layout (Radford et al. 2021), with what DINOv2 adds by
configuration.

B images, N patches (+1 class token), D width, L layers.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import ACTIVATIONS, Dense, LayerNorm, LayerScale, remat
from mllm.ops.attention import attention


@dataclass(frozen=True)
class VisionConfig:
    """Shape of the tower.

    Attributes:
      layers: layers that exist and are run: a tower read at hidden state k of a deeper one is
        loaded with k layers, so that no layer is computed for nothing. CLIP's
        ``vision_feature_layer = -2`` is all layers but the last.
      class_token: whether a class token stands before the patches; ``keep_class_token`` whether it
        is passed on.
      pre_norm: LayerNorm on the embeddings (CLIP). patch_bias, layer_scale: as in DINOv2.
      mean, std: per-channel normalisation of pixels in [0, 1].
    """

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    norm_eps: float = 1e-5
    activation: str = "quick_gelu"
    class_token: bool = True
    keep_class_token: bool = False
    pre_norm: bool = True
    patch_bias: bool = False
    layer_scale: bool = False
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    remat: str | None = None

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size


class VisionBlock(nn.Module):
    config: VisionConfig

    @nn.compact
    def __call__(self, x: jax.Array, _):
        c = self.config
        heads = (*x.shape[:2], c.heads, c.width // c.heads)
        h = LayerNorm(c.norm_eps, name="attention_norm")(x)
        q, k, v = (Dense(c.width, bias=True, name=n)(h).reshape(heads) for n in "qkv")
        h = Dense(c.width, bias=True, name="o")(attention(q, k, v).reshape(x.shape))
        x = x + (LayerScale(name="attention_scale")(h) if c.layer_scale else h)
        h = LayerNorm(c.norm_eps, name="mlp_norm")(x)
        h = ACTIVATIONS[c.activation](Dense(c.mlp_width, bias=True, name="fc1")(h))
        h = Dense(c.width, bias=True, name="fc2")(h)
        return x + (LayerScale(name="mlp_scale")(h) if c.layer_scale else h), None


class VisionTower(nn.Module):
    config: VisionConfig

    @nn.compact
    def __call__(self, pixels: jax.Array) -> jax.Array:
        """Normalised pixels float[B, H, W, 3] -> features float[B, N, D], before any final norm."""
        c = self.config
        x = Dense(c.width, bias=c.patch_bias, name="patch")(patches(pixels, c.patch_size))
        if c.class_token:
            token = self.param("class_token", nn.initializers.normal(0.02), (c.width,))
            token = jnp.broadcast_to(token.astype(x.dtype), (x.shape[0], 1, c.width))
            x = jnp.concatenate([token, x], axis=1)
        places = (x.shape[1], c.width)
        x = x + self.param("position", nn.initializers.normal(0.02), places).astype(x.dtype)
        if c.pre_norm:
            x = LayerNorm(c.norm_eps, name="pre_norm")(x)
        x, _ = nn.scan(
            remat(VisionBlock, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=c.layers,
        )(c, name="layers")(x, None)
        return x[:, 1:] if c.class_token and not c.keep_class_token else x


def patches(pixels: jax.Array, size: int) -> jax.Array:
    """Cut float[B, H, W, 3] into float[B, (H / size)(W / size), size * size * 3], row by row,
    channels last.
    """
    batch, height, width, channels = pixels.shape
    grid = pixels.reshape(batch, height // size, size, width // size, size, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, size * size * channels)
