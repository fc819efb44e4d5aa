"""The encoder of SAM (Segment Anything, Kirillov et al. 2023, arXiv:2304.02643): a transformer in
which most layers attend within windows and a few see the whole picture, and a neck.

A query adds to its scores a term for the row and one for the column of each key, learned for each
distance (Li et al. 2022, MViTv2, arXiv:2112.01526, equation 4).

B pictures, G patches along a side, W patches along a side of a window, D width inside, H heads, L
layers, C channels of the features.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import ACTIVATIONS, Dense, LayerNorm, kept, remat, side_by_side
from mllm.models.vit import patches

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class SamConfig:
    """Shape of the encoder.

    Attributes:
      inner_width: of the transformer. width: of the features, after the neck.
      window: patches along a side of a window; a grid that it does not divide is padded with zeros.
      global_layers: numbers of the layers without windows.
      mean, std: per-channel normalisation of pixels in [0, 1].
    """

    image_size: int
    patch_size: int
    inner_width: int
    layers: int
    heads: int
    mlp_width: int
    window: int
    global_layers: tuple[int, ...]
    width: int = 256
    norm_eps: float = 1e-6
    activation: str = "gelu"
    mean: tuple[float, float, float] = _IMAGENET_MEAN
    std: tuple[float, float, float] = _IMAGENET_STD
    lora_dropout: float = 0.0
    remat: str | None = None

    def __post_init__(self):
        if self.image_size % self.patch_size or self.inner_width % self.heads:
            raise ValueError(
                f"patches of {self.patch_size} pixels in pictures of {self.image_size}, and "
                f"{self.heads} heads in a width of {self.inner_width}: the first must divide the "
                "second"
            )
        numbers = set(self.global_layers)
        if len(numbers) < len(self.global_layers) or not numbers <= set(range(self.layers)):
            raise ValueError(
                f"global_layers is {self.global_layers}, expected different numbers from 0 to "
                f"{self.layers - 1}"
            )

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    @property
    def tokens(self) -> int:
        """Features of a picture."""
        return self.grid**2


class SamBlock(nn.Module):
    config: SamConfig

    @nn.compact
    def __call__(self, x: jax.Array, own: tuple[jax.Array, jax.Array, jax.Array]):
        """Run one layer.

        Args:
          x: float[B, G, G, D].
          own: of this layer: whether it sees the whole picture, bool[], and the terms of rows and
            of columns, float[2 * max(G, W) - 1, D / H], of which a window takes the first 2 W - 1.

        Returns:
          (float[B, G, G, D], None).
        """
        c = self.config
        grid, window = c.grid, c.window
        whole, rows, columns = own

        def dense(features: int, name: str) -> Dense:
            return Dense(features, True, c.lora_dropout, name=name)

        h = LayerNorm(c.norm_eps, name="attention_norm")(x)
        # What pads a window is 0 before the maps, so its keys and values are their biases.
        rest = -grid % window
        h = jnp.pad(h, ((0, 0), (0, rest), (0, rest), (0, 0)))
        mapped = side_by_side(h, [dense(c.inner_width, n) for n in "qkv"])
        heads = (*h.shape[:3], c.heads, c.inner_width // c.heads)
        names = ("query", "key", "value")
        q, k, v = (kept(n, y.reshape(heads)) for n, y in zip(names, mapped, strict=True))

        def see_all(q, k, v):
            cut = (y[:, :grid, :grid] for y in (q, k, v))
            return _attend(*cut, rows[: 2 * grid - 1], columns[: 2 * grid - 1])

        def see_windows(q, k, v):
            cut = (_to_windows(y, window) for y in (q, k, v))
            seen = _attend(*cut, rows[: 2 * window - 1], columns[: 2 * window - 1])
            return _from_windows(seen, q.shape)[:, :grid, :grid]

        h = jax.lax.cond(whole, see_all, see_windows, q, k, v).reshape(x.shape)
        x = kept("residual", x + dense(c.inner_width, "o")(h))
        h = LayerNorm(c.norm_eps, name="mlp_norm")(x)
        h = ACTIVATIONS[c.activation](kept("up", dense(c.mlp_width, "fc1")(h)))
        return x + dense(c.inner_width, "fc2")(h), None


class SamNeck(nn.Module):
    """Two convolutions without bias, of 1 x 1 and 3 x 3 patches, each before a norm."""

    config: SamConfig

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map float[B, G, G, D] to float[B, G, G, C]."""
        c = self.config
        x = LayerNorm(1e-6, name="project_norm")(Dense(c.width, name="project")(x))
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifts = [(row, column) for row in range(3) for column in range(3)]
        around = [padded[:, r : r + c.grid, s : s + c.grid] for r, s in shifts]
        x = Dense(c.width, name="mix")(jnp.concatenate(around, axis=-1))
        return LayerNorm(1e-6, name="mix_norm")(x)


class SamEncoder(nn.Module):
    config: SamConfig

    @nn.compact
    def __call__(self, pixels: jax.Array, extents: jax.Array | None = None) -> jax.Array:
        """Return features float[B, G * G, C] of normalised pixels.

        Args:
          pixels: float[B, image_size, image_size, 3].
          extents: not used: SAM sees padding as it is.
        """
        c = self.config
        x = Dense(c.inner_width, bias=True, name="patch")(patches(pixels, c.patch_size))
        x = x.reshape(x.shape[0], c.grid, c.grid, c.inner_width)
        places = (c.grid, c.grid, c.inner_width)
        x = x + self.param("position", nn.initializers.normal(0.02), places).astype(x.dtype)
        x, _ = nn.scan(
            remat(SamBlock, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            length=c.layers,
            unroll=c.layers if c.remat is None else 1,
        )(c, name="layers")(x, self._of_layers())
        return SamNeck(c, name="neck")(x).reshape(x.shape[0], c.tokens, c.width)

    def _of_layers(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Return for each layer whether it sees the whole picture, bool[L], and its terms of rows
        and of columns, float[L, 2 * max(G, W) - 1, D / H].
        """
        c = self.config
        whole = [number in c.global_layers for number in range(c.layers)]
        longest = 2 * max(c.grid, c.window) - 1

        def terms(axis: str) -> jax.Array:
            sides = {"global": (True, c.grid), "window": (False, c.window)}
            tables = jnp.zeros((c.layers, longest, c.inner_width // c.heads))
            for name, (kind, side) in sides.items():
                numbers = [number for number, seen in enumerate(whole) if seen == kind]
                if numbers:
                    shape = (len(numbers), 2 * side - 1, tables.shape[-1])
                    table = self.param(f"{name}_{axis}", nn.initializers.normal(0.02), shape)
                    tables = tables.at[jnp.asarray(numbers), : shape[1]].set(table)
            return tables

        return jnp.asarray(whole), terms("rows"), terms("columns")


def _to_windows(x: jax.Array, window: int) -> jax.Array:
    """Cut float[B, R, S, ...] into windows float[B * R / W * S / W, W, W, ...], row by row."""
    batch, rows, columns, *rest = x.shape
    x = x.reshape(batch, rows // window, window, columns // window, window, *rest)
    return jnp.moveaxis(x, 3, 2).reshape(-1, window, window, *rest)


def _from_windows(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Put windows together to ``shape``, the inverse of ``_to_windows``."""
    batch, rows, columns, *rest = shape
    window = x.shape[1]
    x = x.reshape(batch, rows // window, columns // window, window, window, *rest)
    return jnp.moveaxis(x, 2, 3).reshape(shape)


def _attend(
    q: jax.Array, k: jax.Array, v: jax.Array, rows: jax.Array, columns: jax.Array
) -> jax.Array:
    """Attend among the S x S places of each window, with terms for the distances.

    Args:
      q, k, v: float[N, S, S, H, E]. rows, columns: float[2 S - 1, E]; entry d + S - 1 is of a query
        that is d places after the key.

    Returns:
      float[N, S, S, H, E] in the dtype of ``q``; scores and softmax are float32.
    """
    side, width = q.shape[1], q.shape[-1]
    ahead = jnp.arange(side)[:, None] - jnp.arange(side) + side - 1
    exact = {"preferred_element_type": jnp.float32}
    of_rows, of_columns = (table.astype(q.dtype)[ahead] for table in (rows, columns))
    scores = jnp.einsum("nxyhe,nuvhe->nhxyuv", q * width**-0.5, k, **exact)
    scores += jnp.einsum("nxyhe,xue->nhxyu", q, of_rows, **exact)[..., None]
    scores += jnp.einsum("nxyhe,yve->nhxyv", q, of_columns, **exact)[..., None, :]
    shape = scores.shape
    shares = jax.nn.softmax(scores.reshape(*shape[:4], -1), axis=-1).reshape(shape)
    return jnp.einsum("nhxyuv,nuvhe->nxyhe", shares.astype(v.dtype), v)
