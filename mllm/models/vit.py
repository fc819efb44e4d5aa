"""A vision transformer in CLIP's layout (Radford et al. 2021), with what DINOv2, SigLIP and NaViT
change by configuration.

B images, H and W pixels, P pixels of a patch's side, N patches (+1 class token), D width, L layers.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import (
    ACTIVATIONS,
    Dense,
    LayerNorm,
    LayerScale,
    kept,
    remat,
    side_by_side,
)
from mllm.models.navit import position_ids, real_patches
from mllm.ops.attention import Structure, attention, every_query_sees


@dataclass(frozen=True)
class VisionConfig:
    """Shape of the tower.

    Attributes:
      layers: number of layers, all of which are run. A tower whose hidden state k is read is
        loaded with k layers, so that none is computed in vain; CLIP's
        ``vision_feature_layer = -2`` means all layers but the last.
      outputs: numbers of the hidden states (0: the embeddings) whose features are joined; ()
        takes only the last.
      class_token: whether a class token precedes the patches.
      registers: how many learned tokens without a position follow the class token (Darcet et al.
        2023, arXiv:2309.16588).
      drop_first: whether the tokens before the patches are not passed on: the class token (LLaVA's
        strategy "default") and the registers.
      pre_norm: LayerNorm on the embeddings (CLIP). post_norm: on the result (SigLIP).
      patch_bias, layer_scale: as in DINOv2. gated: whether a gated MLP (SwiGLU, Shazeer 2020,
        arXiv:2002.05202) takes the place of ``activation``, as in the largest DINOv2.
      ragged: whether images have any size, padded at the right and at the bottom. The position of
        a patch is then its fraction of the side (NaViT, arXiv:2307.06304), by the rule
        ``positions`` of ``mllm.models.navit``, and ``image_size`` is that of the table.
      partial_patches: whether a patch that is partly padding counts as real.
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
    drop_first: bool = True
    pre_norm: bool = True
    post_norm: bool = False
    patch_bias: bool = False
    layer_scale: bool = False
    outputs: tuple[int, ...] = ()
    ragged: bool = False
    positions: str = "transformers-5"
    partial_patches: bool = False
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    lora_dropout: float = 0.0
    remat: str | None = None
    registers: int = 0
    gated: bool = False

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        """Features of an image of ``image_size``."""
        before = int(self.class_token) + self.registers
        return self.grid**2 + before - self.dropped

    @property
    def dropped(self) -> int:
        """How many first tokens are not passed on."""
        return 1 + self.registers if self.drop_first else 0


class VisionBlock(nn.Module):
    config: VisionConfig

    @nn.compact
    def __call__(self, x: jax.Array, structure: Structure | None):
        """Run one layer on float[B, N, D]; return the result twice, to carry and to keep."""
        c = self.config
        heads = (*x.shape[:2], c.heads, c.width // c.heads)

        def dense(features: int, name: str) -> Dense:
            return Dense(features, True, c.lora_dropout, name=name)

        h = LayerNorm(c.norm_eps, name="attention_norm")(x)
        mapped = side_by_side(h, [dense(c.width, n) for n in "qkv"])
        names = ("query", "key", "value")
        q, k, v = (kept(n, y.reshape(heads)) for n, y in zip(names, mapped, strict=True))
        h = dense(c.width, "o")(attention(q, k, v, structure).reshape(x.shape))
        x = kept("residual", x + (LayerScale(name="attention_scale")(h) if c.layer_scale else h))
        h = LayerNorm(c.norm_eps, name="mlp_norm")(x)
        if c.gated:
            gate, up = side_by_side(h, [dense(c.mlp_width, n) for n in ("gate", "up")])
            h = dense(c.width, "down")(jax.nn.silu(kept("gate", gate)) * kept("up", up))
        else:
            h = ACTIVATIONS[c.activation](kept("up", dense(c.mlp_width, "fc1")(h)))
            h = dense(c.width, "fc2")(h)
        x = x + (LayerScale(name="mlp_scale")(h) if c.layer_scale else h)
        return x, x if c.outputs else None


class VisionTower(nn.Module):
    config: VisionConfig

    @nn.compact
    def __call__(self, pixels: jax.Array, extents: jax.Array | None = None) -> jax.Array:
        """Return features float[B, N, D] of normalised pixels; D times the number of ``outputs``.

        Args:
          pixels: float[B, H, W, 3].
          extents: i32[B, 2], height and width of the image in pixels, for a ragged tower; None if
            there is no padding.
        """
        c = self.config
        x = Dense(c.width, bias=c.patch_bias, name="patch")(patches(pixels, c.patch_size))
        if c.class_token:
            token = self.param("class_token", nn.initializers.normal(0.02), (c.width,))
            token = jnp.broadcast_to(token.astype(x.dtype), (x.shape[0], 1, c.width))
            x = jnp.concatenate([token, x], axis=1)
        places = (c.grid**2 + int(c.class_token), c.width)
        table = self.param("position", nn.initializers.normal(0.02), places).astype(x.dtype)
        structure = None
        if c.ragged:
            real = real_patches(c, pixels.shape, extents)
            x = x + jnp.take(table, position_ids(c, real), axis=0)
            structure = every_query_sees(real.reshape(x.shape[:2]), x.shape[1])
        else:
            x = x + table
        if c.registers:
            tokens = self.param(
                "registers", nn.initializers.normal(0.02), (c.registers, c.width)
            ).astype(x.dtype)
            tokens = jnp.broadcast_to(tokens, (x.shape[0], *tokens.shape))
            x = jnp.concatenate([x[:, :1], tokens, x[:, 1:]], axis=1)
        if c.pre_norm:
            x = LayerNorm(c.norm_eps, name="pre_norm")(x)
        embedded = x
        x, states = nn.scan(
            remat(VisionBlock, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=nn.broadcast,
            length=c.layers,
            unroll=c.layers if c.remat is None else 1,
        )(c, name="layers")(x, structure)
        if c.outputs:
            x = jnp.concatenate([states[k - 1] if k else embedded for k in c.outputs], axis=-1)
        if c.post_norm:
            x = LayerNorm(c.norm_eps, name="post_norm")(x)
        return x[:, c.dropped :]


def patches(pixels: jax.Array, size: int) -> jax.Array:
    """Cut float[B, H, W, 3] into float[B, (H // P)(W // P), P * P * 3], row by row, channels last;
    pixels that do not fill a patch are left out.
    """
    batch, height, width, channels = pixels.shape
    rows, columns = height // size, width // size
    whole = pixels[:, : rows * size, : columns * size]
    grid = whole.reshape(batch, rows, size, columns, size, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, size * size * channels)
