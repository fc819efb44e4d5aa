"""The audio encoder of LTU (Gong et al. 2023, arXiv:2305.10790): a vision transformer over patches
of a filter bank spectrogram, whose patches of one time are averaged into a token.

B sounds, S samples, F frames, P frames and bins of a patch, R = bins / P rows, C = frames / P
columns, N = C / pool tokens, D width, L layers.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import Dense, LayerNorm, remat
from mllm.models.vit import VisionBlock
from mllm.ops.mel import FRAME, HOP, RATE, fbank
from mllm.ops.norm import layer_norm


@dataclass(frozen=True)
class AudioVitConfig:
    """Shape of the encoder; 10.24 s are 1024 frames, 512 patches and 32 tokens.

    Attributes:
      frames: of the longest sound; shorter ones are followed by zeros. bins: of the filter bank.
      pool: columns of patches that are averaged into a token.
      mean, std: of the filter bank's energies, which are normalised with them.
      scale: by which tokens are divided before they are normalised.
    """

    width: int = 768
    layers: int = 12
    heads: int = 12
    mlp_width: int = 3072
    frames: int = 1024
    bins: int = 128
    patch_size: int = 16
    pool: int = 2
    mean: float = -5.081
    std: float = 4.4849
    scale: float = 50.0
    activation: str = "gelu"
    norm_eps: float = 1e-5
    lora_dropout: float = 0.0
    remat: str | None = None
    kind: str = "audio_vit"
    # What layers of a vision transformer ask besides.
    layer_scale: ClassVar[bool] = False
    gated: ClassVar[bool] = False
    outputs: ClassVar[tuple[int, ...]] = ()

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.bins // self.patch_size, self.frames // self.patch_size

    @property
    def tokens(self) -> int:
        return self.grid[1] // self.pool

    @property
    def window(self) -> int:
        """Samples of the longest sound."""
        return self.frames * HOP

    def tokens_of(self, frames: int) -> int:
        """Return the tokens of a sound of some frames, which are those of every sound."""
        return self.tokens

    @property
    def sounds(self) -> dict:
        """What a processor must know to prepare sounds: fields of an AudioConfig."""
        return {"seconds": self.window / RATE, "tokens": self.tokens}


class AudioVit(nn.Module):
    config: AudioVitConfig

    @nn.compact
    def __call__(self, energies: jax.Array, frames: jax.Array | None = None) -> jax.Array:
        """Return features float[B, N, D] of normalised spectrograms float[B, F, bins]; ``frames``
        changes nothing, since silence is part of what is heard.
        """
        c = self.config
        (rows, columns), size = c.grid, c.patch_size
        cut = energies[:, : columns * size, : rows * size]
        cells = cut.reshape(-1, columns, size, rows, size).transpose(0, 3, 1, 4, 2)
        x = Dense(c.width, True, name="patch")(cells.reshape(-1, rows * columns, size * size))
        shape = (rows * columns, c.width)
        x = x + self.param("position", nn.initializers.normal(0.02), shape).astype(x.dtype)
        x, _ = nn.scan(
            remat(VisionBlock, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=nn.broadcast,
            length=c.layers,
            unroll=c.layers if c.remat is None else 1,
        )(c, name="layers")(x, None)
        x = LayerNorm(c.norm_eps, name="post_norm")(x)
        x = x.reshape(-1, rows, c.tokens, columns // c.tokens, c.width)
        one = jnp.ones(c.width, x.dtype)
        return layer_norm(x.mean(axis=(1, 3)) / c.scale, one, 0 * one, c.norm_eps)

    def spectrogram(self, values: jax.Array, extents: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return (normalised energies float32[B, frames, bins], real frames i32[B]).

        Args:
          values: float[B, S] samples; or float[B, F, bins], which is a spectrogram already.
          extents: i32[B, 1], real samples or frames of each.
        """
        c = self.config
        if values.ndim == 3:
            return values, extents[:, 0]
        values = jnp.pad(values, [(0, 0), (0, max(FRAME - values.shape[1], 0))])
        energies = fbank(values, extents[:, 0], bins=c.bins)[:, : c.frames]
        missing = c.frames - energies.shape[1]
        energies = jnp.pad(energies, [(0, 0), (0, missing), (0, 0)])
        return (energies - c.mean) / c.std, jnp.full(len(values), c.frames)
