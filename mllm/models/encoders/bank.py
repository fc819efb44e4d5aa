"""A bank of encoders: one picture seen by several of them, each at its own size and normalisation.

The picture comes as one square canvas, which it touches at the top and at the left with its aspect
kept; the rest is padding. What the encoders see is flat, ``features`` float[B, F]: the tokens of
all encoders one after another, F the sum of N_n * D_n. It depends on the picture alone, so it can
be kept.

B pictures, S pixels of the canvas's side, N_n tokens of width D_n of encoder n, G_n = sqrt(N_n).
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.encoders import ENCODERS
from mllm.models.encoders.statistics import within
from mllm.registry import lookup


@dataclass(frozen=True)
class EncoderConfig:
    """One encoder of a bank: its name there, its kind (``ENCODERS``) and its shape.

    Raises:
      ValueError: the name is not a plain one, the kind is unknown, or the tokens are not a grid.
    """

    name: str
    kind: str
    tower: object

    def __post_init__(self):
        kind = lookup(ENCODERS, self.kind, f"kind of the encoder {self.name!r}")
        if not self.name.isidentifier():
            raise ValueError(
                f"an encoder is called {self.name!r}, expected letters, digits and underscores"
            )
        if not isinstance(self.tower, kind.config):
            raise ValueError(
                f"the tower of the encoder {self.name!r} is a {type(self.tower).__name__}, a "
                f"{self.kind!r} needs a {kind.config.__name__}"
            )
        if self.tower.tokens != self.tower.grid**2:
            raise ValueError(
                f"the encoder {self.name!r} gives {self.tower.tokens} tokens, expected the "
                f"{self.tower.grid**2} of a grid: set drop_first where there is a class token"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of its tokens."""
        return self.tower.grid, self.tower.grid

    @property
    def tokens(self) -> int:
        """N_n."""
        return self.tower.tokens

    @property
    def width(self) -> int:
        """D_n."""
        return self.tower.width * max(1, len(getattr(self.tower, "outputs", ())))


@dataclass(frozen=True)
class BankConfig:
    """The encoders of a bank, and the side of the canvas that pictures come on.

    ``mean`` and ``std`` are of the canvas, whose normalised form is values in [0, 1]; each encoder
    applies its own.

    Raises:
      ValueError: there is no encoder, or two have the same name.
    """

    image_size: int
    encoders: tuple[EncoderConfig, ...]
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    patch_size: int = 1
    ragged: bool = False

    def __post_init__(self):
        object.__setattr__(self, "encoders", tuple(self.encoders))
        if not self.encoders:
            raise ValueError("the bank has no encoders, expected at least one")
        if len(set(self.names)) < len(self.encoders):
            raise ValueError(f"encoders are called {', '.join(self.names)}: give each its own name")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the encoders, in the order of their tokens."""
        return tuple(encoder.name for encoder in self.encoders)

    @property
    def features(self) -> int:
        """F, the numbers that a picture becomes."""
        return sum(encoder.tokens * encoder.width for encoder in self.encoders)

    def parted(self, features: jax.Array) -> dict[str, jax.Array]:
        """Return the tokens float[B, N_n, D_n] of each encoder, of features float[B, F]."""
        found, start = {}, 0
        for encoder in self.encoders:
            end = start + encoder.tokens * encoder.width
            part = features[:, start:end]
            found[encoder.name] = part.reshape(-1, encoder.tokens, encoder.width)
            start = end
        return found


class Bank(nn.Module):
    config: BankConfig
    dtype: str = "float32"

    @nn.compact
    def __call__(self, canvas: jax.Array, extents: jax.Array | None = None) -> jax.Array:
        """Return the features float[B, F] of canvases.

        Tokens of cells that show nothing of the picture are 0, which marks them as such.

        Args:
          canvas: u8[B, S, S, 3], or float in [0, 1].
          extents: i32[B, 2], height and width of each picture on its canvas; None: no padding.
        """
        pixels = canvas.astype(jnp.float32)
        pixels = pixels / 255 if canvas.dtype == jnp.uint8 else pixels
        if extents is None:
            extents = jnp.full((len(canvas), 2), canvas.shape[1], jnp.int32)
        extents = jnp.maximum(extents, 1)  # a row without a picture has extents of 0
        return jnp.concatenate([self.seen_by(e, pixels, extents) for e in self.config.encoders], 1)

    def seen_by(self, encoder: EncoderConfig, pixels: jax.Array, extents: jax.Array) -> jax.Array:
        kind, tower = ENCODERS[encoder.kind], encoder.tower
        pixels, extents = fit(pixels, extents, tower.image_size)
        mean, std = (jnp.asarray(x, jnp.float32) for x in (tower.mean, tower.std))
        real = within(extents, tower.image_size)
        pixels = jnp.where(real[..., None], (pixels - mean) / std, 0)
        if not kind.exact:
            pixels = pixels.astype(self.dtype)
        tokens = kind.module(tower, name=encoder.name)(pixels, extents).astype(self.dtype)
        shown = shown_cells(extents, tower.image_size, tower.grid)
        return jnp.where(shown[..., None], tokens, 0).reshape(len(tokens), -1)


def fit(pixels: jax.Array, extents: jax.Array, side: int) -> tuple[jax.Array, jax.Array]:
    """Resize canvases to ``side``, antialiased and bicubic, as if each picture stood alone: padding
    has no weight.

    Args:
      pixels: float32[B, S, S, 3] in [0, 1]. extents: i32[B, 2].

    Returns:
      (float32[B, side, side, 3] in [0, 1], the new extents, at least 1).
    """
    whole = pixels.shape[1]
    if whole == side:
        return pixels, extents
    ratio = side / whole
    real = within(extents, whole).astype(jnp.float32)
    ends = jnp.stack([real[:, :, 0], real[:, 0, :]], axis=-1)  # the mask is an outer product
    weight = jax.image.resize(ends, (len(ends), side, 2), "cubic")
    weight = weight[:, :, None, 0] * weight[:, None, :, 1]
    shape = (len(pixels), side, side, 3)
    resized = jax.image.resize(pixels * real[..., None], shape, "cubic")
    resized = resized / jnp.where(weight < 0.05, 1, weight)[..., None]
    extents = jnp.maximum(jnp.round(extents * ratio).astype(jnp.int32), 1)
    return jnp.clip(resized, 0, 1), extents


def shown_cells(extents: jax.Array, side: int, grid: int) -> jax.Array:
    """Return bool[B, grid * grid], true for the cells that extents i32[B, 2] reach."""
    first = jnp.arange(grid) * (side / grid)
    rows, columns = (first < extents[:, axis, None] for axis in (0, 1))
    return (rows[:, :, None] & columns[:, None, :]).reshape(len(extents), -1)
