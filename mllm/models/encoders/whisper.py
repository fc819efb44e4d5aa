"""The encoder of Whisper (Radford et al. 2022, arXiv:2212.04356): two convolutions over a log-mel
spectrogram, positions, pre-norm layers.

B sounds, F frames of the spectrogram, N = (F + 1) // 2 steps, D width, L layers.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mllm.models.layers import ACTIVATIONS, Dense, LayerNorm, kept, remat, side_by_side
from mllm.ops.attention import Structure, attention, every_query_sees
from mllm.ops.mel import HOP, RATE, log_mel


@dataclass(frozen=True)
class WhisperConfig:
    """Shape of the encoder.

    Attributes:
      bins: of the mel spectrogram. positions: the most steps, of two frames each.
      pool: steps that are averaged into a token after the last layer (Qwen2-Audio: 2).
    """

    width: int
    layers: int
    heads: int
    mlp_width: int
    bins: int = 80
    positions: int = 1500
    pool: int = 1
    activation: str = "gelu"
    norm_eps: float = 1e-5
    lora_dropout: float = 0.0
    remat: str | None = None
    kind: str = "whisper"

    @property
    def window(self) -> int:
        """Samples of the longest sound."""
        return 2 * HOP * self.positions

    def tokens_of(self, frames: int) -> int:
        """Return the tokens of a sound of some frames."""
        return (frames + 1) // 2 // self.pool

    @property
    def sounds(self) -> dict:
        """What a processor must know to prepare sounds: fields of an AudioConfig."""
        return {"seconds": self.window / RATE, "tokens": 0, "pool": self.pool}


class WhisperBlock(nn.Module):
    config: WhisperConfig

    @nn.compact
    def __call__(self, x: jax.Array, structure: Structure | None):
        """Run one layer on float[B, N, D]; return the result and nothing to keep."""
        c = self.config
        heads = (*x.shape[:2], c.heads, c.width // c.heads)

        def dense(features: int, name: str, bias: bool = True) -> Dense:
            return Dense(features, bias, c.lora_dropout, name=name)

        h = LayerNorm(c.norm_eps, name="attention_norm")(x)
        maps = [dense(c.width, name, bias=name != "k") for name in "qkv"]
        names = ("query", "key", "value")
        mapped = zip(names, side_by_side(h, maps), strict=True)
        q, k, v = (kept(name, y.reshape(heads)) for name, y in mapped)
        h = dense(c.width, "o")(attention(q, k, v, structure).reshape(x.shape))
        x = kept("residual", x + h)
        h = LayerNorm(c.norm_eps, name="mlp_norm")(x)
        h = ACTIVATIONS[c.activation](kept("up", dense(c.mlp_width, "fc1")(h)))
        return x + dense(c.width, "fc2")(h), None


class WhisperEncoder(nn.Module):
    config: WhisperConfig

    @nn.compact
    def __call__(self, mel: jax.Array, frames: jax.Array | None = None) -> jax.Array:
        """Return features float[B, N // pool, D] of spectrograms float[B, F, bins].

        Args:
          frames: i32[B], real frames of each, to which attention is confined; None attends to all,
            as Whisper itself does. Two frames of silence must follow the real ones, unless these
            fill all positions.
        """
        c = self.config
        x = jax.nn.gelu(Dense(c.width, True, name="conv1")(_neighbours(mel)), approximate=False)
        x = Dense(c.width, True, name="conv2")(_neighbours(x)[:, ::2])
        x = jax.nn.gelu(x, approximate=False)
        steps = x.shape[1]
        places = lambda key, shape: jnp.asarray(sinusoids(*shape))  # noqa: E731
        table = self.param("position", places, (c.positions, c.width))
        x = x + table[:steps].astype(x.dtype)
        structure = None
        if frames is not None:
            real = jnp.arange(steps) < jnp.maximum((frames[:, None] + 1) // 2, 1)
            structure = every_query_sees(real, steps)
        x, _ = nn.scan(
            remat(WhisperBlock, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=nn.broadcast,
            length=c.layers,
            unroll=c.layers if c.remat is None else 1,
        )(c, name="layers")(x, structure)
        if c.pool > 1:
            tokens = steps // c.pool
            x = x[:, : tokens * c.pool].reshape(len(x), tokens, c.pool, c.width).mean(axis=2)
        return LayerNorm(c.norm_eps, name="post_norm")(x)

    def spectrogram(self, values: jax.Array, extents: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return (log-mel float32[B, F, bins], real frames i32[B]).

        Args:
          values: float[B, S] samples; or float[B, F, bins], which is a spectrogram already.
          extents: i32[B, 1], real samples or frames of each.
        """
        if values.ndim == 3:
            return values, extents[:, 0]
        mel = log_mel(values, bins=self.config.bins, window=self.config.window)
        return mel, (extents[:, 0] + HOP - 1) // HOP


def _neighbours(x: jax.Array) -> jax.Array:
    """Return each step of float[B, F, D] between the one before and the one after it, float[B, F,
    3 * D], so that a convolution over three steps is a matrix.
    """
    padded = jnp.pad(x, [(0, 0), (1, 1), (0, 0)])
    return jnp.concatenate([padded[:, :-2], x, padded[:, 2:]], axis=-1)


def sinusoids(positions: int, width: int) -> np.ndarray:
    """Return float32[positions, width]: sines, then cosines, of wavelengths from 2 pi to 20,000
    pi.
    """
    rates = np.exp(-np.log(10_000) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(positions)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
