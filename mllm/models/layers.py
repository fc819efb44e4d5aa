"""Modules that declare parameters and hand them to ``mllm.ops``: leaves are named w, b, scale.

What the backward pass may keep has names (``checkpoint_name``): those of ``mllm.ops.flash`` for
attention; "query", "key", "value", "residual" (the states between attention and MLP), "gate", "up"
and "low_rank" (the inner states of low-rank updates).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from mllm.ops.flash import LSE, OUT
from mllm.ops.linear import linear, shared_low_rank
from mllm.ops.norm import layer_norm, rms_norm

_ATTENTION = (OUT, LSE)
_BEFORE_MLP = (*_ATTENTION, "query", "key", "value", "residual", "low_rank")
_named = jax.checkpoint_policies.save_only_these_names
# What a layer keeps besides its input. By memory, from the least: nothing, so that all of it is
# computed again; the result of attention; everything before the MLP; the results of all products,
# so that none is computed again but those of a masked attention. "dots" are all products without
# batch dimensions.
REMAT_POLICIES = {
    "nothing": jax.checkpoint_policies.nothing_saveable,
    "attention": _named(*_ATTENTION),
    "before_mlp": _named(*_BEFORE_MLP),
    "products": _named(*_BEFORE_MLP, "gate", "up"),
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}
AUTO = "auto"  # ``mllm.training.remat`` chooses one of these, the fastest first
FASTEST_FIRST = ("products", "before_mlp", "attention", "nothing")


class Dense(nn.Module):
    """``mllm.ops.linear`` with its weights.

    If the collection ``lora`` has a low-rank update, it is added; given a dropout key, a share
    ``lora_dropout`` of its inputs is dropped. An int8 matrix has a ``w_scale``
    (``mllm.ops.quant``). ``gain`` scales the first weights.
    """

    features: int
    bias: bool = False
    lora_dropout: float = 0.0
    gain: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array, low: jax.Array | None = None) -> jax.Array:
        """Return float[..., features]; ``low`` is ``x @ a`` of the update, if it is known."""
        first = nn.initializers.variance_scaling(self.gain**2, "fan_in", "truncated_normal")
        weight = self.param("w", first, (x.shape[-1], self.features))
        bias = self.param("b", nn.initializers.zeros, (self.features,)) if self.bias else None
        scale = self.get_variable("params", "w_scale")
        if not self.has_variable("lora", "a"):
            return linear(x, weight, bias, scale=scale)
        lora = self.get_variable("lora", "a"), self.get_variable("lora", "b")
        drop = self.make_rng("dropout") if self.drops() else None
        options = {"scale": scale, "drop": drop, "rate": self.lora_dropout, "low": low}
        return linear(x, weight, bias, lora, **options)

    def drops(self) -> bool:
        """Return whether inputs of the update are dropped."""
        return self.lora_dropout > 0 and self.has_rng("dropout")

    def inner(self) -> jax.Array | None:
        """Return ``a`` float[I, R] of the low-rank update; None without one."""
        return self.get_variable("lora", "a")


def side_by_side(x: jax.Array, maps: Sequence[Dense]) -> list[jax.Array]:
    """Apply maps that read the same ``x``.

    In half precision the products of ``x`` with the ``a`` of their low-rank updates are one, which
    reads ``x`` once, also in the backward pass. In float32 they stay apart: one product would add
    up their gradients in another order.
    """
    inner = [one.inner() for one in maps]
    if x.dtype == jnp.float32 or any(a is None for a in inner) or any(m.drops() for m in maps):
        return [one(x) for one in maps]
    return [one(x, low) for one, low in zip(maps, shared_low_rank(x, inner), strict=True)]


def kept(name: str, x: jax.Array) -> jax.Array:
    """Return ``x``, which policies keep by this name."""
    return checkpoint_name(x, name)


class RMSNorm(nn.Module):
    eps: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return rms_norm(x, self.param("scale", nn.initializers.ones, x.shape[-1:]), self.eps)


class LayerNorm(nn.Module):
    eps: float
    first: nn.initializers.Initializer = nn.initializers.ones  # of its scale

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", self.first, x.shape[-1:])
        return layer_norm(x, scale, self.param("b", nn.initializers.zeros, x.shape[-1:]), self.eps)


class LayerScale(nn.Module):
    """A learned gain per channel (Touvron et al. 2021, arXiv:2103.17239)."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.param("scale", nn.initializers.ones, x.shape[-1:]).astype(x.dtype)


def quick_gelu(x: jax.Array) -> jax.Array:
    """Return x * sigmoid(1.702 x), the activation of OpenAI's CLIP."""
    return x * jax.nn.sigmoid(1.702 * x)


ACTIVATIONS = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "quick_gelu": quick_gelu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}


def remat(block: type[nn.Module], policy: str | None) -> type[nn.Module]:
    """Return ``block`` recomputed in the backward pass by a policy; None keeps every activation.

    "auto" that nobody resolved (``mllm.training.remat``) keeps nothing.

    Raises:
      ValueError: an unknown policy.
    """
    if policy is None:
        return block
    if policy == AUTO:
        policy = "nothing"
    if policy not in REMAT_POLICIES:
        raise ValueError(
            f"remat policy {policy!r} is unknown: use None, {AUTO!r} or {sorted(REMAT_POLICIES)}"
        )
    return nn.remat(block, policy=REMAT_POLICIES[policy], prevent_cse=False)
