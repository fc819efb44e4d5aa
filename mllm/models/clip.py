"""CLIP (Radford et al. 2021, arXiv:2103.00020): pictures and texts in one space, in float32.

B pictures or texts, T tokens of a text, D width of a tower, E width of the space.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.layers import Dense, LayerNorm
from mllm.models.media import normalise
from mllm.models.vit import VisionBlock, VisionConfig, VisionTower
from mllm.ops.attention import causal


@dataclass(frozen=True)
class TextConfig:
    """Shape of the tower that reads texts; its layers are those of the vision tower, causal.

    Attributes:
      positions: the most tokens of a text.
      end: the token whose last state stands for the text, the first one of this ID; None takes the
        first token of the highest ID, the rule of CLIP's first files.
      outputs, layer_scale, gated, lora_dropout: what the layers can do besides; not used here.
    """

    vocab_size: int
    positions: int
    width: int
    layers: int
    heads: int
    mlp_width: int
    norm_eps: float = 1e-5
    activation: str = "quick_gelu"
    end: int | None = None
    outputs: tuple[int, ...] = ()
    layer_scale: bool = False
    gated: bool = False
    lora_dropout: float = 0.0


@dataclass(frozen=True)
class ClipConfig:
    """Shape of the two towers. ``vision`` keeps its class token, which stands for the picture.

    Attributes:
      width: of the space that both are mapped to.
    """

    vision: VisionConfig
    text: TextConfig
    width: int


class TextTower(nn.Module):
    config: TextConfig

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Return the state float[B, D] that stands for each text of i32[B, T].

        Tokens after the end change nothing, because no earlier token sees them.
        """
        c = self.config
        embed = self.param("embed", nn.initializers.normal(0.02), (c.vocab_size, c.width))
        table = self.param("position", nn.initializers.normal(0.01), (c.positions, c.width))
        x = jnp.take(embed, tokens, axis=0) + table[: tokens.shape[1]]
        places = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
        x, _ = nn.scan(
            VisionBlock,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=nn.broadcast,
            length=c.layers,
        )(c, name="layers")(x, causal(places, jnp.zeros_like(places)))
        x = LayerNorm(c.norm_eps, name="norm")(x)
        ends = tokens if c.end is None else tokens == c.end
        return jnp.take_along_axis(x, ends.argmax(axis=1)[:, None, None], axis=1)[:, 0]


class Clip(nn.Module):
    config: ClipConfig

    def setup(self):
        self.vision = VisionTower(self.config.vision)
        self.text = TextTower(self.config.text)
        self.vision_projection = Dense(self.config.width)
        self.text_projection = Dense(self.config.width)

    def pictures(self, images: jax.Array) -> jax.Array:
        features = self.vision(normalise(self.config, images))
        return unit(self.vision_projection(features[:, 0]))

    def texts(self, tokens: jax.Array) -> jax.Array:
        return unit(self.text_projection(self.text(tokens)))

    def __call__(self, images: jax.Array, tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self.pictures(images), self.texts(tokens)


def unit(x: jax.Array) -> jax.Array:
    """Return float[..., E] at length 1."""
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def image_embeddings(config: ClipConfig, variables: dict, images: jax.Array) -> jax.Array:
    """Return float32[B, E], of length 1, of pictures u8[B, H, W, 3]."""
    return Clip(config).apply(variables, images, method="pictures")


def text_embeddings(config: ClipConfig, variables: dict, tokens: jax.Array) -> jax.Array:
    """Return float32[B, E], of length 1, of texts i32[B, T] with any tokens after their ends."""
    return Clip(config).apply(variables, tokens, method="texts")


def similarity(images: jax.Array, texts: jax.Array, scale: float) -> jax.Array:
    """Return ``scale`` times the cosine, float32[I, T], of embeddings of length 1, [I, E] and
    [T, E].
    """
    return scale * jnp.einsum("ie,te->it", images, texts, precision="highest")


def abstract(config: ClipConfig) -> dict:
    """Return the variables as ShapeDtypeStructs."""
    side = config.vision.image_size
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.uint8)
    tokens = jax.ShapeDtypeStruct((1, config.text.positions), jnp.int32)
    return jax.eval_shape(Clip(config).init, jax.random.key(0), images, tokens)
