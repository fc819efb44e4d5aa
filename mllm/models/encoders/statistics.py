"""Encoders whose first layer is fixed: statistics of each cell of a picture and of the whole of it,
then a small transformer over the cells. Only the statistics differ.

B pictures, S pixels of a side, P pixels of a cell's side, G cells of a side, C channels, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import Dense, LayerNorm, remat
from mllm.models.vit import VisionBlock, VisionConfig
from mllm.ops.attention import every_query_sees

Colours = tuple[jax.Array, jax.Array, jax.Array]


@dataclass(frozen=True)
class StatisticsConfig:
    """Shape of the encoder. ``patch_size`` is P, the side of a cell; S must be a multiple of it.

    The pixels that it reads are in [0, 1], so ``mean`` is 0 and ``std`` is 1.
    """

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    norm_eps: float = 1e-5
    activation: str = "gelu"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lora_dropout: float = 0.0
    remat: str | None = None

    def __post_init__(self):
        if self.image_size % self.patch_size:
            raise ValueError(
                f"cells of {self.patch_size} pixels do not fill pictures of {self.image_size}: "
                "choose a patch_size that divides image_size"
            )

    @property
    def grid(self) -> int:
        """G, cells along one side."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        """Cells of a picture."""
        return self.grid**2

    @property
    def blocks(self) -> VisionConfig:
        """The layers over the cells."""
        names = "image_size", "patch_size", "width", "layers", "heads", "mlp_width", "norm_eps"
        shared = {n: getattr(self, n) for n in (*names, "activation", "lora_dropout")}
        return VisionConfig(**shared, class_token=False, drop_first=False)


class Real(NamedTuple):
    """What of a canvas is picture: ``weight`` float32[B, S, S] is 1 there and 0 in the padding,
    ``size`` float32[B, 2] its height and width.
    """

    weight: jax.Array
    size: jax.Array


class StatisticsEncoder(nn.Module):
    """The base of such encoders: a subclass offers ``measure``."""

    config: StatisticsConfig

    def measure(self, colours: Colours, real: Real) -> tuple[jax.Array, jax.Array]:
        """Return statistics of each cell float32[B, G * G, C] and of the whole picture
        float32[B, E], about of size 1.

        Args:
          colours: red, green and blue float32[B, S, S] in [0, 1]; what is in the padding must not
            matter.
        """
        raise NotImplementedError(f"{type(self).__name__} measures nothing")

    @nn.compact
    def __call__(self, pixels: jax.Array, extents: jax.Array | None = None) -> jax.Array:
        """Return float[B, G * G, D]; see the package. Cells of padding alone are not attended to.

        What is measured is constant: no gradient flows to the pixels.
        """
        c = self.config
        batch, side = pixels.shape[:2]
        if extents is None:
            extents = jnp.full((batch, 2), side, jnp.int32)
        weight = within(extents, side).astype(jnp.float32)
        real = Real(weight, extents.astype(jnp.float32))
        pixels = jax.lax.stop_gradient(pixels.astype(jnp.float32))
        cells, whole = self.measure(computed(*(pixels[..., n] for n in range(3))), real)
        x = Dense(c.width, True, name="cells")(cells)
        x = x + Dense(c.width, name="whole")(whole)[:, None]
        table = self.param("position", nn.initializers.normal(0.02), (c.tokens, c.width))
        shown = weight[:, :: c.patch_size, :: c.patch_size].reshape(batch, -1) > 0
        x, _ = nn.scan(
            remat(VisionBlock, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=nn.broadcast,
            length=c.layers,
            unroll=c.layers if c.remat is None else 1,
        )(c.blocks, name="layers")(x + table, every_query_sees(shown, c.tokens))
        return LayerNorm(c.norm_eps, name="post_norm")(x)


def within(extents: jax.Array, side: int) -> jax.Array:
    """Return bool[B, side, side], true where a canvas lies within extents [B, 2]."""
    rows, columns = (jnp.arange(side) < extents[:, axis, None] for axis in (0, 1))
    return rows[:, :, None] & columns[:, None, :]


def repeat_edges(plane: jax.Array, real: Real) -> jax.Array:
    """Fill the padding of float[B, S, S] with the last real row and column, so that differences of
    neighbours are 0 at the border.
    """
    places = jnp.arange(plane.shape[1])
    for axis in (1, 2):
        size = real.size[:, axis - 1, None, None]
        place = places.reshape((-1, 1) if axis == 1 else (1, -1))
        last = jnp.sum(jnp.where(place == size - 1, plane, 0), axis=axis, keepdims=True)
        plane = jnp.where(place < size, plane, last)
    return plane


def averages(planes: Sequence[jax.Array], real: Real, size: int) -> tuple[jax.Array, jax.Array]:
    """Average planes float[B, S, S] over what is real.

    Each plane is summed by itself, rows first, so that the compiler joins its computation with its
    sum and never writes it.

    Returns:
      (float[B, G * G, C] over each cell of size x size, 0 for cells of padding alone; float[B, C]
      over all).
    """
    sums = jnp.stack([cell_sums(plane * real.weight, size) for plane in planes], axis=-1)
    counts = cell_sums(real.weight, size)[..., None]
    return sums / jnp.maximum(counts, 1), sums.sum(axis=1) / counts.sum(axis=1)


def cell_sums(plane: jax.Array, size: int) -> jax.Array:
    """Return float[B, G * G], the sums of float[B, S, S] over cells of size x size."""
    batch, side, _ = plane.shape
    (rows,) = computed(plane.reshape(batch, side // size, size, side).sum(axis=2))
    return rows.reshape(batch, side // size, side // size, size).sum(axis=3).reshape(batch, -1)


def computed(*planes: jax.Array) -> tuple[jax.Array, ...]:
    """Return planes that the compiler computes once, not again for each sum that reads them."""
    return jax.lax.optimization_barrier(planes)
