"""A decoder that sees through several encoders, fused under the guidance of the instruction.

A picture becomes ``features``, what the encoders see, by itself (``look_media``), and tokens only
together with an instruction (``encode_media``): ``instructions`` i32[B, I, T] are the token ids of
that under which each picture is read, -1 for padding.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mllm.models.decoder import DecoderConfig
from mllm.models.encoders.bank import Bank, BankConfig
from mllm.models.fusion import FusionConfig, Seen
from mllm.models.mova import MovaConfig
from mllm.models.multimodal import Media, Multimodal, Variables, functions_of
from mllm.models.projector import Projector, ProjectorConfig

FUSIONS = {kind.KIND: kind for kind in (FusionConfig, MovaConfig)}


@dataclass(frozen=True)
class FusedConfig:
    """A whole model; ``dtype`` is that of activations.

    Raises:
      ValueError: the fusion names an encoder that the bank does not have, or does not fit it.
    """

    decoder: DecoderConfig
    vision: BankConfig
    fusion: FusionConfig | MovaConfig
    projector: ProjectorConfig
    dtype: str = "float32"
    any_size: ClassVar[bool] = False  # whether images of all sizes take equally many tokens

    def __post_init__(self):
        self.fusion.check(self.vision)

    @property
    def image_tokens(self) -> int:
        """The tokens of one picture, whatever its shape and the encoders."""
        return self.fusion.queries

    @property
    def pictures(self) -> dict[str, Any]:
        """What a processor must know to prepare pictures for this model."""
        return {"transform": "fit", "image_size": self.vision.image_size}

    @property
    def balance(self) -> float:
        """Weight of the gate's balance loss in training."""
        return self.fusion.balance


class Fused(Multimodal):
    config: FusedConfig
    instructed: ClassVar[bool] = True

    def setup_media(self):
        c = self.config
        self.vision = Bank(c.vision, c.dtype)
        self.fusion = c.fusion.module(c.vision)
        self.projector = Projector(c.projector)

    def look(self, kind: str, values: jax.Array, extents: jax.Array | None) -> jax.Array:
        self.require_images(kind)
        return self.vision(values, extents)

    def read(self, features: jax.Array, instructions: jax.Array) -> tuple[jax.Array, Seen]:
        real = instructions >= 0
        embedded = self.decoder.embed(jnp.where(real, instructions, 0), self.config.dtype)
        views = self.config.vision.parted(features.astype(self.config.dtype))
        seen = self.fusion(views, embedded, real)
        return self.projector(seen.tokens), seen

    def __call__(self, tokens, structure, pixels, slots):
        """Declare all parameters: read the first picture under the whole text."""
        encoded, _ = self.read(self.vision(pixels), tokens)
        media = {"image": {"tokens": encoded[:, None], "slots": slots}}
        return self.hidden(tokens, structure, media)


init, abstract, look_media, encode_media, hidden, head, stages, instructed = functions_of(Fused)


def explain(config: FusedConfig, variables: Variables, media: Media) -> dict[str, Any]:
    """Return how images are read under their instructions.

    Args:
      media: of a batch; its images hold ``features``, or ``values``, and ``instructions``.

    Returns:
      "gates" float32[B, I, L, N], the weights of the N encoders; "bank" float32[B, I, m], those of
      the query sets; "attention" {encoder: float32[B, I, L, rows, columns]}, where each layer
      looks, of sum 1 over a square grid, mean over queries and heads.
    """
    images = look_media(config, variables, media)["image"]
    features, instructions = images["features"], images["instructions"]
    lead = features.shape[:2]
    flat = (
        features.reshape(-1, features.shape[-1]),
        instructions.reshape(-1, instructions.shape[-1]),
    )
    inner = {name: tree for name, tree in variables.items() if name != "layers"}
    _, seen = Fused(config).apply(inner, *flat, method="read")
    attention = {
        name: weights.reshape(*lead, weights.shape[1], *2 * [round(weights.shape[-1] ** 0.5)])
        for name, weights in seen.attention.items()
    }
    gates, bank = (x.reshape(*lead, *x.shape[1:]) for x in (seen.gates, seen.bank))
    return {"gates": gates, "bank": bank, "attention": attention}
