"""Modules that declare parameters and hand them to ``mllm.ops``: leaves are named w, b, scale."""

import flax.linen as nn
import jax

from mllm.ops.linear import linear
from mllm.ops.norm import layer_norm, rms_norm

REMAT_POLICIES = {
    "nothing": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


class Dense(nn.Module):
    """``mllm.ops.linear`` with its weights.

    If the collection ``lora`` has a low-rank update, it is added; given a dropout key, a share
    ``lora_dropout`` of its inputs is dropped. An int8 matrix has a ``w_scale``
    (``mllm.ops.quant``).
    """

    features: int
    bias: bool = False
    lora_dropout: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        weight = self.param("w", nn.initializers.lecun_normal(), (x.shape[-1], self.features))
        bias = self.param("b", nn.initializers.zeros, (self.features,)) if self.bias else None
        scale = self.get_variable("params", "w_scale")
        if not self.has_variable("lora", "a"):
            return linear(x, weight, bias, scale=scale)
        lora = self.get_variable("lora", "a"), self.get_variable("lora", "b")
        drops = self.lora_dropout > 0 and self.has_rng("dropout")
        drop = self.make_rng("dropout") if drops else None
        return linear(x, weight, bias, lora, scale=scale, drop=drop, rate=self.lora_dropout)


class RMSNorm(nn.Module):
    eps: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return rms_norm(x, self.param("scale", nn.initializers.ones, x.shape[-1:]), self.eps)


class LayerNorm(nn.Module):
    eps: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
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

    Raises:
      ValueError: an unknown policy.
    """
    if policy is None:
        return block
    if policy not in REMAT_POLICIES:
        raise ValueError(
            f"remat policy {policy!r} is unknown: use None or {sorted(REMAT_POLICIES)}"
        )
    return nn.remat(block, policy=REMAT_POLICIES[policy], prevent_cse=False)
