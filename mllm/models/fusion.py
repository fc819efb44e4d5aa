"""Fusion of several encoders, guided by the instruction under which a picture is read (Qi et al.
2025, arXiv:2509.18582, the figure of the framework).

Queries, mixed from learned sets by the instruction, read each encoder by cross-attention; a gate
weighs what they have read; this is repeated L times.

  a = softmax(s . K_i), Q^0 = sum_i a_i V_i           s: the instruction, i: the m sets
  A_n = softmax(Q K_n^T / sqrt(C)), F_n = LN(A_n V_n W + residual)      of each encoder n
  g = softmax(Linear(FeedForward([s; mean F_1 ... mean F_N])))
  X = Q + sum_n g_n F_n; X = X + MHA(LN(X)); Q = X + MLP(LN(X))
  Z = LN(Q^L + Q^0)

All choices of ``gate``, ``bank_on`` and ``residual`` have the same parameters, so that models
differ in one choice alone. The parameters of an encoder stand under its name: its place in the bank
does not matter.

B pictures, Q queries of width D, N encoders, M tokens of an encoder, H heads of width C, T tokens
of an instruction, m query sets, L layers.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from mllm.models.encoders.bank import BankConfig
from mllm.models.layers import ACTIVATIONS, Dense, LayerNorm, remat
from mllm.models.vit import VisionBlock, VisionConfig
from mllm.ops.attention import attention, every_query_sees

GATES = ("text+vision", "text", "vision", "uniform", "joint")
FIXED = "fixed:"
RESIDUALS = ("query", "encoder")
_HIDDEN = -1e30  # a score that no softmax sees, and that makes no NaN if there is no other


@dataclass(frozen=True)
class FusionConfig:
    """Shape of the fusion.

    Attributes:
      queries: Q, a square number: the tokens that a picture becomes.
      bank: m, the number of query sets.
      gate: what weighs the encoders: "text+vision" (the instruction and what was read), one of
        both alone, "uniform" (all alike), "fixed:NAME" (one encoder alone), or "joint": no gate,
        but one softmax over the tokens of all encoders.
      bank_on: whether the instruction mixes the query sets; else all have the same weight.
      residual: what is added to what an encoder gave: the queries, or the encoder's values,
        resampled to the grid of queries.
      balance: weight of the loss that keeps the gate from one encoder alone (``balance_loss``).
      sentence_layers: layers of a transformer over the embedded instruction before its mean.
      activation: of the gate's hidden layer; the MLP is gated with SiLU.
    """

    queries: int
    width: int
    heads: int
    mlp_width: int
    bank: int = 16
    layers: int = 3
    gate: str = "text+vision"
    bank_on: bool = True
    residual: str = "query"
    balance: float = 0.0
    sentence_layers: int = 0
    activation: str = "gelu"
    norm_eps: float = 1e-5
    lora_dropout: float = 0.0
    remat: str | None = None
    kind: str = "guided"
    KIND: ClassVar[str] = "guided"

    def __post_init__(self):
        if self.kind != self.KIND:
            raise ValueError(f"fusion.kind is {self.kind!r}, expected {self.KIND!r}")
        if self.gate not in GATES and not self.gate.startswith(FIXED):
            raise ValueError(
                f"fusion.gate is {self.gate!r}, expected one of {', '.join(GATES)} or {FIXED}NAME"
            )
        if self.residual not in RESIDUALS:
            raise ValueError(
                f"fusion.residual is {self.residual!r}, expected one of {', '.join(RESIDUALS)}"
            )
        require_grid(self.queries, self.width, self.heads)

    def check(self, bank: BankConfig) -> None:
        """Raise ValueError if the gate is fixed on an encoder that the bank does not have."""
        if self.fixed is not None and self.fixed not in bank.names:
            raise ValueError(
                f"fusion.gate is {self.gate!r}, but the encoders are {', '.join(bank.names)}"
            )

    def module(self, bank: BankConfig) -> nn.Module:
        """Return the module that fuses the encoders of a bank."""
        return Fusion(self, bank.names)

    @property
    def fixed(self) -> str | None:
        """The encoder that is read alone; None if the gate is not fixed."""
        return self.gate.removeprefix(FIXED) if self.gate.startswith(FIXED) else None


class Seen(NamedTuple):
    """What a fusion made of its pictures.

    Attributes:
      tokens: float[B, Q, D].
      gates: float32[B, L, N], the weight of each encoder in each layer; of a "joint" one the share
        of attention.
      bank: float32[B, m], the weights of the query sets.
      attention: float32[B, L, M] of each encoder, mean over queries and heads, of sum 1.
    """

    tokens: jax.Array
    gates: jax.Array
    bank: jax.Array
    attention: dict[str, jax.Array]


def require_grid(queries: int, width: int, heads: int) -> None:
    """Raise ValueError unless queries form a square grid with 2-D positions and whole heads."""
    if round(queries**0.5) ** 2 != queries:
        raise ValueError(f"fusion.queries is {queries}, expected a square number: they are a grid")
    if width % 4 or width % heads:
        raise ValueError(
            f"fusion.width is {width}, expected a multiple of 4 and of the {heads} heads"
        )


def sines(count: int, width: int) -> np.ndarray:
    """Return sinusoidal positions float32[count, width], sines then cosines (Vaswani et al. 2017,
    arXiv:1706.03762, section 3.5).
    """
    steps = np.arange(width // 2) / (width // 2)
    angles = np.arange(count)[:, None] * 10_000.0**-steps
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def sincos(side: int, width: int) -> np.ndarray:
    """Return 2-D sinusoidal positions float32[side * side, width]: the first half of the width is
    for rows, the second for columns (Chen et al. 2021, arXiv:2104.02057).
    """
    one = sines(side, width // 2)
    return np.concatenate([np.repeat(one, side, axis=0), np.tile(one, (side, 1))], axis=1)


def resample(values: jax.Array, side: int) -> jax.Array:
    """Resize float[B, M, D] of a square grid bilinearly, antialiased, to float[B, side^2, D]."""
    batch, count, width = values.shape
    old = round(count**0.5)
    grid = values.reshape(batch, old, old, width)
    return jax.image.resize(grid, (batch, side, side, width), "linear").reshape(batch, -1, width)


def balance_loss(gates: jax.Array, shown: jax.Array) -> jax.Array:
    """Return N * sum_n mean(g_n)^2, averaged over layers: 1 for a gate that uses all encoders alike
    and N for one that uses a single one. The mean is over the pictures of the batch.

    Args:
      gates: float32[..., L, N]. shown: [...], 1 (true) where there is a picture.
    """
    shown = shown.astype(jnp.float32)[..., None, None]
    axes = tuple(range(gates.ndim - 2))
    mean = (gates * shown).sum(axes) / jnp.maximum(shown.sum(), 1)
    return gates.shape[-1] * jnp.square(mean).sum(axis=-1).mean()


class Sentence(nn.Module):
    """An instruction as one vector: the mean of its embedded tokens, normalised."""

    config: FusionConfig

    @nn.compact
    def __call__(self, embedded: jax.Array, real: jax.Array) -> jax.Array:
        """Return float[B, D] of embedded tokens float[B, T, D], of which bool[B, T] are real."""
        c, x = self.config, embedded
        if c.sentence_layers:
            width = x.shape[-1]
            blocks = VisionConfig(
                1, 1, width, c.sentence_layers, c.heads, 4 * width, c.norm_eps, "gelu"
            )
            x = x + sines(x.shape[1], width).astype(x.dtype)
            x, _ = nn.scan(
                VisionBlock,
                variable_axes={"params": 0, "lora": 0},
                split_rngs={"params": True, "dropout": True},
                in_axes=nn.broadcast,
                length=c.sentence_layers,
            )(blocks, name="layers")(x, every_query_sees(real, x.shape[1]))
        weight = real[..., None].astype(x.dtype)
        mean = (x * weight).sum(axis=1) / jnp.maximum(weight.sum(axis=1), 1)
        return LayerNorm(c.norm_eps, name="norm")(mean)


class Gate(nn.Module):
    """The weight of each encoder, equal at the start."""

    config: FusionConfig
    names: tuple[str, ...]

    @nn.compact
    def __call__(self, sentence: jax.Array, read: jax.Array) -> jax.Array:
        """Return float32[B, N] of the instruction float[B, S] and of what was read of each encoder,
        float[B, N, D].
        """
        c = self.config
        uses = {"text": (True, False), "vision": (False, True)}.get(c.gate, (True, True))
        x = Dense(c.width, True, name="text")(sentence * uses[0])
        for number, name in enumerate(self.names):
            x = x + Dense(c.width, name=f"view_{name}")(read[:, number] * uses[1])
        x = ACTIVATIONS[c.activation](x)
        scores = [Dense(1, True, gain=0.0, name=f"score_{name}")(x) for name in self.names]
        learned = jax.nn.softmax(jnp.concatenate(scores, -1).astype(jnp.float32), axis=-1)
        if c.fixed is not None:
            one = jnp.asarray([float(name == c.fixed) for name in self.names])
            return jnp.broadcast_to(one, learned.shape)
        if c.gate in ("uniform", "joint"):
            return jnp.full_like(learned, 1 / len(self.names))
        return learned


class FusionBlock(nn.Module):
    config: FusionConfig
    names: tuple[str, ...]

    @nn.compact
    def __call__(self, x: jax.Array, views: dict, sentence: jax.Array):
        """Run one layer on queries float[B, Q, D].

        Args:
          views: of each encoder, tokens float[B, M, D_n] and which of them are real, bool[B, M].
          sentence: float[B, S].

        Returns:
          (float[B, Q, D], (gates float32[B, N], attention as in ``Seen`` float32[B, M])).
        """
        c = self.config
        batch, queries, width = x.shape
        heads = c.heads, width // c.heads
        q = x.reshape(batch, queries, *heads)
        scores, values = [], []
        for name in self.names:
            tokens, real = views[name]
            k, v = Dense(width, name=f"k_{name}")(tokens), Dense(width, name=f"v_{name}")(tokens)
            scores.append(scores_of(q, k.reshape(batch, -1, *heads), real))
            values.append(v * real[..., None].astype(v.dtype))
        joint = c.gate == "joint"
        weights = _softmax_over_all(scores) if joint else [jax.nn.softmax(s, -1) for s in scores]
        pairs = zip(weights, values, strict=True)
        read = jnp.stack([read_values(w, v) for w, v in pairs], axis=1)
        if c.residual == "query":
            residual = x[:, None]
        else:
            side = round(queries**0.5)
            residual = jnp.stack([resample(v, side) for v in values], axis=1)
        shares = jnp.stack([w.sum(-1).mean((1, 2)) for w in weights], axis=-1)
        if joint:
            read, residual = read.sum(1, keepdims=True), residual.mean(1, keepdims=True)
        f = LayerNorm(c.norm_eps, name="read_norm")(Dense(width, name="o")(read) + residual)
        every = jnp.broadcast_to(f.mean(axis=2), (batch, len(self.names), width))
        gates = Gate(c, self.names, name="choice")(sentence, every)
        mixed = f[:, 0] if joint else jnp.einsum("bn,bnqd->bqd", gates.astype(f.dtype), f)
        x = x + mixed
        h = LayerNorm(c.norm_eps, name="attention_norm")(x)
        with_itself = [
            Dense(width, True, c.lora_dropout, name=f"self_{n}")(h).reshape(batch, queries, *heads)
            for n in "qkv"
        ]
        h = attention(*with_itself).reshape(x.shape)
        x = x + Dense(width, True, c.lora_dropout, name="self_o")(h)
        h = LayerNorm(c.norm_eps, name="mlp_norm")(x)
        inner = nn.silu(Dense(c.mlp_width, lora_dropout=c.lora_dropout, name="gate")(h))
        inner = inner * Dense(c.mlp_width, lora_dropout=c.lora_dropout, name="up")(h)
        x = x + Dense(width, lora_dropout=c.lora_dropout, name="down")(inner)
        seen = [w.mean((1, 2)) for w in weights]
        seen = tuple(s / jnp.maximum(s.sum(-1, keepdims=True), 1e-30) for s in seen)
        return x, (shares if joint else gates, seen)


def _softmax_over_all(scores: list[jax.Array]) -> list[jax.Array]:
    ends = np.cumsum([s.shape[-1] for s in scores])[:-1]
    return jnp.split(jax.nn.softmax(jnp.concatenate(scores, axis=-1), axis=-1), ends, axis=-1)


def scores_of(q: jax.Array, k: jax.Array, real: jax.Array) -> jax.Array:
    """Return q . k / sqrt(C), float32[B, H, Q, M], of q float[B, Q, H, C] and k float[B, M, H, C];
    keys that are false in bool[B, M] are hidden.
    """
    score = jnp.einsum("bqhc,bmhc->bhqm", q, k, preferred_element_type=jnp.float32)
    return jnp.where(real[:, None, None, :], score / np.sqrt(q.shape[-1]), _HIDDEN)


def read_values(weights: jax.Array, values: jax.Array) -> jax.Array:
    """Return float[B, Q, D] of weights float32[B, H, Q, M] and values float[B, M, D]."""
    batch, heads, queries, count = weights.shape
    values = values.reshape(batch, count, heads, -1)
    read = jnp.einsum("bhqm,bmhc->bqhc", weights.astype(values.dtype), values)
    return read.reshape(batch, queries, -1)


class Fusion(nn.Module):
    config: FusionConfig
    names: tuple[str, ...]

    @nn.compact
    def __call__(self, views: dict, embedded: jax.Array, real: jax.Array) -> Seen:
        """Fuse what the encoders see of pictures.

        Args:
          views: of each encoder, tokens float[B, M, D_n] that are all 0 where they show nothing.
          embedded: float[B, T, S], the embedded tokens of each instruction, of which bool[B, T]
            ``real`` are.
        """
        c = self.config
        views = {name: (tokens, jnp.any(tokens != 0, axis=-1)) for name, tokens in views.items()}
        normed = {
            name: (LayerNorm(c.norm_eps, name=f"norm_{name}")(tokens), shown)
            for name, (tokens, shown) in views.items()
        }
        sentence = Sentence(c, name="sentence")(embedded, real)
        keys = self.param("keys", nn.initializers.normal(c.width**-0.5), (c.bank, c.width))
        sets = self.param("sets", nn.initializers.normal(0.3), (c.bank, c.queries, c.width)).astype(
            sentence.dtype
        )
        asked = Dense(c.width, name="asked")(sentence)
        weights = jax.nn.softmax((asked @ keys.T.astype(asked.dtype)).astype(jnp.float32), axis=-1)
        if not c.bank_on:
            weights = jnp.full_like(weights, 1 / c.bank)
        first = jnp.einsum("bi,iqd->bqd", weights.astype(sets.dtype), sets)
        first = first + sincos(round(c.queries**0.5), c.width).astype(first.dtype)
        x, (gates, seen) = nn.scan(
            remat(FusionBlock, c.remat),
            variable_axes={"params": 0, "lora": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(nn.broadcast, nn.broadcast),
            out_axes=1,
            length=c.layers,
            unroll=c.layers if c.remat is None else 1,
        )(c, self.names, name="layers")(first, normed, sentence)
        tokens = LayerNorm(c.norm_eps, name="norm")(x + first)
        return Seen(tokens, gates, weights, dict(zip(self.names, seen, strict=True)))
