"""A vector-quantised autoencoder of pictures (van den Oord et al. 2017, arXiv:1711.00937), with
codes of length 1 (Yu et al. 2022, arXiv:2110.04627).

Its layers are those of a transformer over patches. The codes of a picture then lie on a grid, one
for each patch, or belong to learned queries (Yu et al. 2024, arXiv:2406.07550), of which each may
see only the ones before it, as in SEED (Ge et al. 2023, arXiv:2307.08041). Or its layers see all
patches as one vector: small pictures are learned in far fewer updates that way.

B pictures, S pixels of a side, P pixels of a patch's side, N patches, K codes, C width of a code, F
features of a patch, D width, V codes of the codebook.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import ACTIVATIONS, Dense, LayerNorm, remat
from mllm.models.vit import VisionBlock, VisionConfig, patches
from mllm.ops.attention import Structure, causal
from mllm.ops.vq import nearest, straight_through, unit

# Of the first weights of what draws: a drawing begins as the mean picture, and not as noise, which
# takes hundreds of updates to be unlearned.
FAINT = 0.1


@dataclass(frozen=True)
class VQConfig:
    """Shape of the autoencoder.

    Attributes:
      image_size: pixels of a side. patch_size: pixels of a patch's side.
      mixer: how the parts of a picture see each other: "attention", as a sequence of patches and
        queries, or "dense", as one vector of all patches.
      layers: of the encoder. generator_layers: of what draws the picture again.
      features: F, of a patch within the vector of a dense mixer.
      codes: V. code_width: C.
      slots: K, the number of codes of a picture; 0 takes as many as it has patches, and then
        attention needs no queries.
      causal: whether a query sees only itself, the queries before it, and the patches.
      remat: a policy of ``mllm.models.layers``.

    Raises:
      ValueError: sizes that do not fit together.
    """

    image_size: int = 64
    patch_size: int = 16
    mixer: str = "attention"
    width: int = 256
    layers: int = 2
    generator_layers: int = 2
    heads: int = 4
    mlp_width: int = 1024
    features: int = 32
    codes: int = 512
    code_width: int = 16
    slots: int = 0
    causal: bool = False
    activation: str = "gelu_tanh"
    norm_eps: float = 1e-6
    remat: str | None = None

    def __post_init__(self):
        if self.image_size % self.patch_size or self.width % self.heads:
            raise ValueError(
                f"patches of {self.patch_size} pixels in pictures of {self.image_size}, and "
                f"{self.heads} heads in a width of {self.width}: the first must divide the second"
            )
        if self.mixer not in ("attention", "dense"):
            raise ValueError(f"mixer is {self.mixer!r}, expected 'attention' or 'dense'")
        if self.causal and not (self.slots and self.mixer == "attention"):
            raise ValueError("causal codes need attention and slots > 0: patches are in no order")

    @property
    def patches(self) -> int:
        """N, patches of a picture."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def length(self) -> int:
        """K, codes of a picture."""
        return self.slots or self.patches

    @property
    def block(self) -> VisionConfig:
        """The shape of a transformer layer."""
        return VisionConfig(
            self.image_size,
            self.patch_size,
            self.width,
            self.layers,
            self.heads,
            self.mlp_width,
            norm_eps=self.norm_eps,
            activation=self.activation,
            remat=self.remat,
        )


class Layers(nn.Module):
    """Transformer layers over a sequence of patches and codes."""

    config: VQConfig
    count: int

    @nn.compact
    def __call__(self, x: jax.Array, structure: Structure | None = None) -> jax.Array:
        x, _ = nn.scan(
            remat(VisionBlock, self.config.remat),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=self.count,
            unroll=self.count if self.config.remat is None else 1,
        )(self.config.block, name="layers")(x, structure)
        return LayerNorm(self.config.norm_eps, name="norm")(x)


class DenseBlock(nn.Module):
    config: VQConfig

    @nn.compact
    def __call__(self, x: jax.Array):
        """Run one layer on float[B, D]; return the result, and nothing to keep."""
        c = self.config
        h = Dense(c.mlp_width, True, name="fc1")(LayerNorm(c.norm_eps, name="norm")(x))
        return x + Dense(c.width, True, name="fc2")(ACTIVATIONS[c.activation](h)), None


class DenseLayers(nn.Module):
    """Residual layers over one vector for each picture."""

    config: VQConfig
    count: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x, _ = nn.scan(
            remat(DenseBlock, self.config.remat),
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=self.count,
            unroll=self.count if self.config.remat is None else 1,
        )(self.config, name="layers")(x)
        return LayerNorm(self.config.norm_eps, name="norm")(x)


class DenseEncoder(nn.Module):
    config: VQConfig

    @nn.compact
    def __call__(self, pixels: jax.Array) -> jax.Array:
        """Return vectors float[B, K, C] of length 1 of pixels float[B, S, S, 3]."""
        c = self.config
        x = Dense(c.features, True, name="patch")(patches(pixels, c.patch_size))
        x = Dense(c.width, True, name="join")(x.reshape(len(x), -1))
        x = DenseLayers(c, c.layers, name="stack")(x)
        x = Dense(c.length * c.code_width, True, name="code")(x)
        return unit(x.reshape(len(x), c.length, c.code_width))


class DenseGenerator(nn.Module):
    config: VQConfig

    @nn.compact
    def __call__(self, chosen: jax.Array) -> jax.Array:
        """Return float[B, S, S, 3], pixels less the mean picture, of codes float[B, K, C]."""
        c = self.config
        x = Dense(c.width, True, name="code")(chosen.reshape(len(chosen), -1))
        x = DenseLayers(c, c.generator_layers, name="stack")(x)
        x = Dense(c.patches * c.features, True, name="spread")(x)
        x = x.reshape(len(x), c.patches, c.features)
        return joined(Dense(c.patch_size**2 * 3, True, gain=FAINT, name="pixels")(x), c.patch_size)


class Encoder(nn.Module):
    config: VQConfig

    @nn.compact
    def __call__(self, pixels: jax.Array) -> jax.Array:
        """Return vectors float[B, K, C] of length 1 of pixels float[B, S, S, 3]."""
        c = self.config
        x = Dense(c.width, True, name="patch")(patches(pixels, c.patch_size))
        x = x + _table(self, "position", c.patches, c.width)
        structure = None
        if c.slots:
            queries = _table(self, "queries", c.slots, c.width)
            queries = jnp.broadcast_to(queries, (len(x), c.slots, c.width))
            x = jnp.concatenate([x, queries], axis=1)
        if c.causal:  # patches, at place 0, are seen by all and see each other
            places = jnp.concatenate([jnp.zeros(c.patches, jnp.int32), 1 + jnp.arange(c.slots)])
            places = jnp.broadcast_to(places, x.shape[:2])
            structure = causal(places, jnp.zeros_like(places))
        x = Layers(c, c.layers, name="stack")(x, structure)[:, -c.length :]
        return unit(Dense(c.code_width, True, name="code")(x))


class Generator(nn.Module):
    config: VQConfig

    @nn.compact
    def __call__(self, chosen: jax.Array) -> jax.Array:
        """Return float[B, S, S, 3], pixels less the mean picture, of codes float[B, K, C]."""
        c = self.config
        x = Dense(c.width, True, name="code")(chosen) + _table(self, "position", c.length, c.width)
        if c.slots:
            queries = _table(self, "queries", c.patches, c.width)
            queries = jnp.broadcast_to(queries, (len(x), c.patches, c.width))
            x = jnp.concatenate([queries, x], axis=1)
        x = Layers(c, c.generator_layers, name="stack")(x)[:, : c.patches]
        return joined(Dense(c.patch_size**2 * 3, True, gain=FAINT, name="pixels")(x), c.patch_size)


class Coded(NamedTuple):
    """What the autoencoder makes of pictures.

    Attributes:
      vectors: float[B, K, C], of the encoder. chosen: float[B, K, C], the nearest codes.
      codes: i32[B, K], their numbers.
    """

    vectors: jax.Array
    chosen: jax.Array
    codes: jax.Array


class VQ(nn.Module):
    """Pixels are float[B, S, S, 3] in [-1, 1].

    Two leaves are moved by no gradient; a training objective keeps them. ``mean`` float32[S, S, 3]
    is the mean picture: the encoder sees how a picture differs from it, and what is drawn is added
    to it. ``usage`` float32[V] is the moving average of how often each code is chosen.
    """

    config: VQConfig

    def setup(self):
        c = self.config
        dense = c.mixer == "dense"
        self.encoder = DenseEncoder(c) if dense else Encoder(c)
        self.generator = DenseGenerator(c) if dense else Generator(c)
        shape = c.codes, c.code_width
        self.codebook = self.param("codebook", nn.initializers.normal(1.0), shape)
        self.usage = self.param("usage", nn.initializers.zeros, (c.codes,))
        side = c.image_size
        mean = self.param("mean", nn.initializers.zeros, (side, side, 3))
        self.center = jax.lax.stop_gradient(mean)

    def table(self) -> jax.Array:
        """Return float[V, C], the codes, of length 1."""
        return unit(self.codebook)

    def encode(self, pixels: jax.Array) -> Coded:
        """Return the codes of pixels."""
        vectors, table = self.encoder(pixels - self.center), self.table()
        codes = nearest(jax.lax.stop_gradient(vectors), jax.lax.stop_gradient(table))
        return Coded(vectors, jnp.take(table, codes, axis=0), codes)

    def decode(self, codes: jax.Array) -> jax.Array:
        """Return the pixels of codes i32[B, K]."""
        return self.draw(jnp.take(self.table(), codes, axis=0))

    def draw(self, chosen: jax.Array) -> jax.Array:
        """Return the pixels of codes float[B, K, C]."""
        return self.center + self.generator(chosen)

    def __call__(self, pixels: jax.Array) -> tuple[Coded, jax.Array]:
        """Return the codes of pixels, and the pixels drawn from them, for training."""
        coded = self.encode(pixels)
        return coded, self.draw(straight_through(coded.vectors, coded.chosen))


def to_pixels(images: jax.Array) -> jax.Array:
    """Return u8[..., 3] images as float32 pixels in [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1


def to_images(pixels: jax.Array) -> jax.Array:
    """Return pixels as u8 images; what lies outside [-1, 1] is cut off."""
    return jnp.clip(jnp.round((pixels.astype(jnp.float32) + 1) * 127.5), 0, 255).astype(jnp.uint8)


def joined(values: jax.Array, size: int) -> jax.Array:
    """Return float[B, S, S, 3] of the patches float[B, N, P * P * 3] of a square: what
    ``mllm.models.vit.patches`` cuts.
    """
    batch, count, _ = values.shape
    side = round(count**0.5)
    grid = values.reshape(batch, side, side, size, size, 3)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, side * size, side * size, 3)


def _table(module: nn.Module, name: str, count: int, width: int) -> jax.Array:
    return module.param(name, nn.initializers.normal(0.02), (count, width))
