"""Attention on TPU: the splash kernel of ``jax.experimental.pallas``, masked by a structure.

B rows, T tokens, H heads, K key-value heads, G = H / K, D head width.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask as masks

from mllm.ops.flash import OUT

BLOCKS = (512, 256, 128)  # the largest that divides the row is used


def splash_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    seen: jax.Array | None = None,
    *,
    window: int | None = None,
    interpret: bool = False,
) -> jax.Array:
    """Compute softmax attention of rows to themselves, skipping blocks that no query sees.

    All heads of a row share its mask. Rows are padded to whole blocks.

    Args:
      q: float[B, T, H, D]; k, v: float[B, T, K, D].
      seen: bool[B, T, T], true where query t may attend to key s. None means causal rows, where t
        sees itself and the tokens before it; the kernel then computes the mask itself.
      window: for causal rows, how many tokens t sees, including itself; None for all.
      interpret: run without a TPU, slowly.

    Returns:
      float[B, T, H, D]; meaningless for a query that sees nothing.
    """
    batch, tokens, heads, width = q.shape
    groups = k.shape[2]
    missing = -tokens % BLOCKS[-1]
    length = tokens + missing
    if missing:
        q, k, v = (jnp.pad(x, [(0, 0), (0, missing), (0, 0), (0, 0)]) for x in (q, k, v))
    block = next(size for size in BLOCKS if length % size == 0)
    blocks = kernels.BlockSizes(*(block,) * 8)

    def attend(mask, q, k, v):
        kernel = kernels.make_splash_mqa_single_device(
            mask, block_sizes=blocks, interpret=interpret, residual_checkpoint_name=OUT
        )
        # The library turns this flag into an array and reads its value during tracing.
        kernel.fwd_mask_info = kernel.fwd_mask_info._replace(is_dynamic_mask=seen is not None)
        return jax.vmap(kernel)(q, k, v)

    q = (q * width**-0.5).astype(q.dtype)
    q = q.reshape(batch, length, groups, heads // groups, width).transpose(0, 2, 3, 1, 4)
    k, v = (x.transpose(0, 2, 1, 3) for x in (k, v))
    if seen is None:
        left = None if window is None else window - 1
        mask = masks.LocalMask((length, length), (left, 0), offset=0)
        found = jax.vmap(partial(attend, masks.MultiHeadMask([mask] * (heads // groups))))(q, k, v)
    else:
        seen = jnp.pad(seen, [(0, 0), (0, missing), (0, missing)])
        # A softmax over no keys is NaN, which would spread in the backward pass.
        blind = ~jnp.any(seen, axis=-1, keepdims=True)
        seen = seen | (blind & (jnp.arange(length) == 0))
        mask = jnp.broadcast_to(seen[:, None], (batch, heads // groups, length, length))
        found = jax.vmap(attend)(mask, q, k, v)
    return found.transpose(0, 3, 1, 2, 4).reshape(batch, length, heads, width)[:, :tokens]
