"""Coarse-to-fine fusion of MoVA (Zong et al. 2024, arXiv:2404.13046): the map of a base encoder
reads those of the others, its experts, of which a gate chooses a few.

Experts' maps are resized to the grid of the base. Each of the L blocks adds what the chosen experts
gave, by cross-attention, then attends to itself; all of this adds 0 at the start. The result is
averaged with the base's map, and pooled between two stages of RegNet (arXiv:2003.13678).

MoVA lets a language model choose experts by their descriptions first, the coarse step. Here the
configuration names those that may be chosen. In attention the halves of a head are rotated, not
its even and odd channels: this is another order of the weights.

B pictures, M tokens of the base, a grid of G x G, D width, H heads of width C, E experts, N
encoders, T tokens of an instruction.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mllm.models.encoders.bank import BankConfig
from mllm.models.fusion import (
    Seen,
    Sentence,
    read_values,
    require_grid,
    resample,
    scores_of,
)
from mllm.models.layers import Dense, LayerNorm, remat
from mllm.models.projector import mean_pool
from mllm.ops.rope import apply_rope

GROUP = 8  # channels of a group of a RegNet's convolution
SQUEEZE = 4  # by which its squeeze-and-excitation narrows


@dataclass(frozen=True)
class MovaConfig:
    """Shape of the adapter.

    Attributes:
      base: the encoder whose map is refined. width: that of its tokens.
      queries: tokens that a picture becomes, a square number whose root divides G.
      experts: the encoders that may be read; () is all others.
      top: how many of them are read in a layer: those of the largest weights, which then sum to 1.
        Of equal weights, as at the start, the first in the bank are taken.
      balance: weight of the loss that keeps the gate from one expert alone.
    """

    base: str
    queries: int
    width: int
    heads: int
    mlp_width: int
    layers: int = 3
    experts: tuple[str, ...] = ()
    top: int = 3
    balance: float = 0.0
    sentence_layers: int = 0
    norm_eps: float = 1e-5
    lora_dropout: float = 0.0
    remat: str | None = None
    kind: str = "mova"
    KIND: ClassVar[str] = "mova"

    def __post_init__(self):
        object.__setattr__(self, "experts", tuple(self.experts))
        if self.kind != self.KIND:
            raise ValueError(f"fusion.kind is {self.kind!r}, expected {self.KIND!r}")
        if self.top < 1:
            raise ValueError(f"fusion.top is {self.top}, expected at least 1")
        require_grid(self.queries, self.width, self.heads)
        if self.width // self.heads % 4:
            raise ValueError(
                f"heads of fusion are {self.width // self.heads} wide, expected a multiple of 4: "
                "rows and columns rotate half of it each"
            )
        if self.width % GROUP:
            raise ValueError(f"fusion.width is {self.width}, expected a multiple of {GROUP}")

    def check(self, bank: BankConfig) -> None:
        """Raise ValueError unless the bank has the encoders named here, and the base fits."""
        missing = sorted({self.base, *self.experts} - set(bank.names))
        if missing:
            raise ValueError(
                f"fusion names the encoders {', '.join(missing)}, but there are "
                f"{', '.join(bank.names)}"
            )
        base = bank.encoders[bank.names.index(self.base)]
        if base.width != self.width:
            raise ValueError(
                f"fusion.width is {self.width}, expected {base.width}, that of {self.base!r}"
            )
        if base.grid[0] % round(self.queries**0.5):
            raise ValueError(
                f"fusion.queries is {self.queries}, but the grid of {base.grid[0]} x "
                f"{base.grid[1]} of {self.base!r} cannot be pooled to it"
            )

    def module(self, bank: BankConfig) -> nn.Module:
        """Return the module that fuses the encoders of a bank."""
        return Mova(self, bank.names)

    def chosen_from(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the experts among the encoders of a bank, in its order."""
        return tuple(n for n in names if n != self.base and n in (self.experts or names))


def rotations(side: int, width: int) -> tuple[jax.Array, jax.Array]:
    """Return cosine and sine of 2-D rotary positions, float32[1, side^2, width / 2]: the first
    half is for rows, the second for columns (RoPE-2D of EVA-02, arXiv:2303.11331).
    """
    frequencies = 10_000.0 ** -(np.arange(0, width // 2, 2) / (width // 2))
    one = np.arange(side)[:, None] * frequencies
    angles = np.concatenate([np.repeat(one, side, axis=0), np.tile(one, (side, 1))], axis=1)
    angles = jnp.asarray(angles[None], jnp.float32)
    return jnp.cos(angles), jnp.sin(angles)


class Reading(nn.Module):
    """Attention from one map to another of the same grid, of result 0 at the start."""

    config: MovaConfig

    @nn.compact
    def __call__(
        self, x: jax.Array, tokens: jax.Array, real: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Let x float[B, M, D] read the tokens float[B, M, W] that are true in bool[B, M].

        Returns:
          (float[B, M, D], the mean weight of each token over queries and heads float32[B, M]).
        """
        c = self.config
        batch, count, width = x.shape
        shape = batch, count, c.heads, width // c.heads
        q = Dense(width, lora_dropout=c.lora_dropout, name="q")(x)
        k = Dense(width, lora_dropout=c.lora_dropout, name="k")(tokens)
        v = Dense(width, lora_dropout=c.lora_dropout, name="v")(tokens)
        angles = rotations(round(count**0.5), shape[-1])
        q, k = (apply_rope(y.reshape(shape), angles) for y in (q, k))
        weights = jax.nn.softmax(scores_of(q, k, real), axis=-1)
        read = LayerNorm(c.norm_eps, name="inner_norm")(read_values(weights, v))
        read = Dense(width, True, c.lora_dropout, gain=0.0, name="o")(read)
        return read, weights.mean((1, 2))


class Choice(nn.Module):
    """The weights of the experts: those of the largest ones, which sum to 1; equal at the start."""

    config: MovaConfig
    experts: tuple[str, ...]

    @nn.compact
    def __call__(self, sentence: jax.Array, mean: jax.Array) -> jax.Array:
        """Return float32[B, E] of an instruction float[B, S] and the map's mean float[B, D]."""
        c = self.config
        x = Dense(c.width, True, name="text")(sentence) + Dense(c.width, name="view_base")(mean)
        x = jax.nn.gelu(x, approximate=False)
        scores = [Dense(1, True, gain=0.0, name=f"score_{name}")(x) for name in self.experts]
        weights = jax.nn.softmax(jnp.concatenate(scores, axis=-1).astype(jnp.float32), axis=-1)
        if c.top < len(self.experts):
            _, best = jax.lax.top_k(weights, c.top)
            weights = weights * jax.nn.one_hot(best, len(self.experts)).sum(axis=1)
        return weights / weights.sum(axis=-1, keepdims=True)


class MovaBlock(nn.Module):
    config: MovaConfig
    experts: tuple[str, ...]

    @nn.compact
    def __call__(self, x: jax.Array, real: jax.Array, views: dict, sentence: jax.Array):
        """Run one block on the map float[B, M, D], of which bool[B, M] show something.

        Args:
          views: of each expert, its resized map float[B, M, W] and what of it is real.

        Returns:
          (float[B, M, D], (weights float32[B, E], attention to each expert and to the map itself,
          float32[B, M])).
        """
        c = self.config
        shown = real[..., None].astype(x.dtype)
        mean = (x * shown).sum(axis=1) / jnp.maximum(shown.sum(axis=1), 1)
        gates, attention = jnp.zeros((len(x), 0), jnp.float32), []
        if self.experts:
            gates = Choice(c, self.experts, name="choice")(sentence, mean)
            added = jnp.zeros_like(x)
            for number, name in enumerate(self.experts):
                tokens, there = views[name]
                h = LayerNorm(c.norm_eps, name=f"own_norm_{name}")(x)
                tokens = LayerNorm(c.norm_eps, name=f"norm_{name}")(tokens)
                read, seen = Reading(c, name=f"read_{name}")(h, tokens, there)
                added = added + gates[:, number, None, None].astype(x.dtype) * read
                attention.append(seen)
            x = x + added
        h = LayerNorm(c.norm_eps, name="attention_norm")(x)
        read, seen = Reading(c, name="read_itself")(h, h, real)
        x = x + read
        h = LayerNorm(c.norm_eps, name="mlp_norm")(x)
        inner = nn.silu(Dense(c.mlp_width, True, c.lora_dropout, name="gate")(h))
        inner = inner * Dense(c.mlp_width, True, c.lora_dropout, name="up")(h)
        inner = LayerNorm(c.norm_eps, name="inner_norm")(inner)
        x = x + Dense(c.width, True, c.lora_dropout, gain=0.0, name="down")(inner)
        return x, (gates, (*attention, seen))


class RegStage(nn.Module):
    """A block of RegNetY with linear output: 1 x 1, grouped 3 x 3, squeeze-and-excitation, 1 x 1,
    and a last norm of scale 0, so that it adds nothing at the start.
    """

    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map float[B, M, D] of a square grid to float[B, M, D]."""
        batch, count, width = x.shape
        side = round(count**0.5)
        h = nn.silu(LayerNorm(1e-6, name="first_norm")(Dense(width, name="first")(x)))
        groups = width // GROUP
        weight = self.param("mix", nn.initializers.lecun_normal(), (3, 3, GROUP, width))
        h = jax.lax.conv_general_dilated(
            h.reshape(batch, side, side, width),
            weight.astype(h.dtype),
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        ).reshape(x.shape)
        h = nn.silu(LayerNorm(1e-6, name="mix_norm")(h))
        squeezed = nn.silu(Dense(width // SQUEEZE, True, name="squeeze")(h.mean(axis=1)))
        h = h * nn.sigmoid(Dense(width, True, name="excite")(squeezed))[:, None]
        h = LayerNorm(1e-6, nn.initializers.zeros, name="last_norm")(Dense(width, name="last")(h))
        return x + h


class Mova(nn.Module):
    config: MovaConfig
    names: tuple[str, ...]

    @nn.compact
    def __call__(self, views: dict, embedded: jax.Array, real: jax.Array) -> Seen:
        """Fuse what the encoders see of pictures; arguments are those of ``Fusion``.

        The base, and encoders that are no experts, have weight 0, unless the base is alone. Maps
        of attention have the grid of the base.
        """
        c = self.config
        experts = c.chosen_from(self.names)
        base = views[c.base]
        count = base.shape[1]
        side = round(count**0.5)
        shown = jnp.any(base != 0, axis=-1)
        maps = {name: resample(views[name], side) for name in experts}
        maps = {name: (tokens, jnp.any(tokens != 0, axis=-1)) for name, tokens in maps.items()}
        sentence = Sentence(c, name="sentence")(embedded, real)
        position = self.param("position", nn.initializers.zeros, (count, c.width))
        x, (weights, seen) = nn.scan(
            remat(MovaBlock, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=nn.broadcast,
            out_axes=1,
            length=c.layers,
            unroll=c.layers if c.remat is None else 1,
        )(c, experts, name="layers")(base + position.astype(base.dtype), shown, maps, sentence)
        x = (x + base) / 2
        x = RegStage(c.width, name="before")(x)
        if (pool := side // round(c.queries**0.5)) > 1:
            x = mean_pool(x, pool)
        x = RegStage(c.width, name="after")(x)
        none = jnp.full(weights.shape[:2], float(not experts))
        columns = {c.base: none} | {name: weights[..., n] for n, name in enumerate(experts)}
        gates = [columns.get(name, jnp.zeros_like(none)) for name in self.names]
        unread = jnp.full(seen[-1].shape, 1 / count)
        attention = dict.fromkeys(self.names, unread)
        attention |= zip((*experts, c.base), seen, strict=True)
        return Seen(x, jnp.stack(gates, axis=-1), jnp.ones((len(x), 1), jnp.float32), attention)
