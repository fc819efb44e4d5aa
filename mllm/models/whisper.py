"""Whisper (Radford et al. 2022, arXiv:2212.04356): its encoder, and a decoder that writes what is
said, greedily and in one program.

B sounds, F frames, N encoder steps, T tokens of a transcript, D width, H heads, C head width,
V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from mllm.models.encoders.whisper import WhisperConfig, WhisperEncoder
from mllm.models.layers import ACTIVATIONS, Dense, LayerNorm

Pair = tuple[Array, Array]  # keys and values, float[B, T or N, H, C]


@dataclass(frozen=True)
class TranscriberConfig:
    """Shape of the whole model.

    Attributes:
      layers, heads, mlp_width: of the decoder, which is as wide as the encoder.
      max_tokens: positions of the decoder.
    """

    encoder: WhisperConfig
    vocab_size: int
    layers: int
    heads: int
    mlp_width: int
    max_tokens: int = 448


class TranscriberBlock(nn.Module):
    """A layer of the decoder: attention to the tokens before, to the sound, an MLP."""

    config: TranscriberConfig

    def setup(self):
        c = self.config
        width, eps = c.encoder.width, c.encoder.norm_eps
        self.attention_norm, self.sound_norm, self.mlp_norm = (LayerNorm(eps) for _ in range(3))
        self.q, self.k, self.v, self.o = (Dense(width, bias) for bias in (True, False, True, True))
        self.sound_q, self.sound_k, self.sound_v, self.sound_o = (
            Dense(width, bias) for bias in (True, False, True, True)
        )
        self.fc1, self.fc2 = Dense(c.mlp_width, True), Dense(width, True)

    def _heads(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], self.config.heads, -1)

    def sound(self, features: Array) -> Pair:
        """Return the keys and values of a sound, features float[B, N, D]."""
        return self._heads(self.sound_k(features)), self._heads(self.sound_v(features))

    def __call__(self, x: Array, sound: Pair, before: Pair, at: Array) -> tuple[Array, Pair]:
        """Read one token.

        Args:
          x: float[B, D]. sound: of ``sound``. before: of the tokens so far. at: its place.

        Returns:
          (float[B, D], ``before`` with this token).
        """
        h = self.attention_norm(x)
        keys, values = (
            jax.lax.dynamic_update_index_in_dim(kept, self._heads(new(h)), at, axis=1)
            for kept, new in zip(before, (self.k, self.v), strict=True)
        )
        seen = jnp.arange(keys.shape[1]) <= at
        x = x + self.o(_attend(self._heads(self.q(h)), keys, values, seen))
        h = self._heads(self.sound_q(self.sound_norm(x)))
        x = x + self.sound_o(_attend(h, *sound, True))
        activation = ACTIVATIONS[self.config.encoder.activation]
        return x + self.fc2(activation(self.fc1(self.mlp_norm(x)))), (keys, values)


def _attend(query: Array, keys: Array, values: Array, seen: Array | bool) -> Array:
    """Return float[B, D], what a query float[B, H, C] reads of keys float[B, T, H, C]."""
    scores = jnp.einsum("bhc,bthc->bht", query, keys) * query.shape[-1] ** -0.5
    weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
    return jnp.einsum("bht,bthc->bhc", weights, values).reshape(len(query), -1)


@partial(jax.jit, static_argnums=(0, 3, 4, 5, 6))
def transcribe(
    config: TranscriberConfig,
    params: dict,
    mel: Array,
    prompt: Sequence[int],
    end: int,
    barred: Sequence[int] = (),
    limit: int = 224,
) -> tuple[Array, Array]:
    """Write what is said in sounds, the likeliest token after each other.

    Args:
      params: "encoder", a tree of ``WhisperEncoder``, and "decoder": ``embed`` [V, D], ``position``
        [max_tokens, D], ``layers``, stacked trees of ``TranscriberBlock``, ``norm``.
      mel: float[B, F, bins], the spectrograms of whole windows.
      prompt: ids that every transcript begins with. end: id that ends one. barred: ids that none
        holds. limit: the most tokens of a transcript.

    Returns:
      (i32[B, limit], the tokens after the prompt; i32[B], how many of them come before ``end``).
    """
    decoder, width = params["decoder"], config.encoder.width
    features = WhisperEncoder(config.encoder).apply({"params": params["encoder"]}, mel)
    block, norm = TranscriberBlock(config), LayerNorm(config.encoder.norm_eps)
    layers = [
        {"params": jax.tree.map(lambda leaf, n=n: leaf[n], decoder["layers"])}
        for n in range(config.layers)
    ]
    sounds = [block.apply(layer, features, method="sound") for layer in layers]
    room = min(len(prompt) + limit, config.max_tokens)
    rows = len(mel)
    empty = jnp.zeros((rows, room, config.heads, width // config.heads), features.dtype)
    out = jnp.array([*barred], jnp.int32)

    def step(state):
        at, tokens, kept, done = state
        x = decoder["embed"][tokens[:, at]] + decoder["position"][at]
        held = []
        for layer, sound, before in zip(layers, sounds, kept, strict=True):
            x, now = block.apply(layer, x, sound, before, at)
            held.append(now)
        logits = norm.apply({"params": decoder["norm"]}, x) @ decoder["embed"].T
        chosen = logits.at[:, out].set(-jnp.inf).argmax(axis=-1)
        chosen = jnp.where(done, end, chosen)
        given = at + 1 < len(prompt)
        chosen = jnp.where(given, tokens[:, jnp.minimum(at + 1, room - 1)], chosen)
        tokens = tokens.at[:, at + 1].set(chosen)
        return at + 1, tokens, held, (done | (chosen == end)) & ~given

    def goes_on(state):
        at, _, _, done = state
        return (at + 1 < room) & ~done.all()

    tokens = jnp.full((rows, room), end, jnp.int32).at[:, : len(prompt)].set(jnp.array(prompt))
    start = jnp.int32(0), tokens, [(empty, empty)] * config.layers, jnp.zeros(rows, bool)
    written = jax.lax.while_loop(goes_on, step, start)[1][:, len(prompt) :]
    return written, jnp.cumprod(written != end, axis=1).sum(axis=1)
