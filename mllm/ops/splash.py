"""Attention on TPU: the splash kernel of ``jax.experimental.pallas``, with the mask of a structure.

B rows, T tokens, H heads, K key-value heads, G = H / K, D head width.
"""

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as kernels

BLOCKS = (512, 256, 128)  # the longest that divides the row


def splash_attention(
    q: jax.Array, k: jax.Array, v: jax.Array, seen: jax.Array, *, interpret: bool = False
) -> jax.Array:
    """Softmax attention of rows among themselves; blocks that nothing sees are passed over.

    The mask of a row is shared by all its heads. Rows are padded to whole blocks.

    Args:
      q: float[B, T, H, D]; k, v: float[B, T, K, D].
      seen: bool[B, T, T], true where query t may attend to key s.
      interpret: run without a TPU, slowly.

    Returns:
      float[B, T, H, D]; meaningless for a query that sees nothing.
    """
    batch, tokens, heads, width = q.shape
    groups = k.shape[2]
    missing = -tokens % BLOCKS[-1]
    if missing:
        q, k, v = (jnp.pad(x, [(0, 0), (0, missing), (0, 0), (0, 0)]) for x in (q, k, v))
        seen = jnp.pad(seen, [(0, 0), (0, missing), (0, missing)])
    # A softmax over nothing has no value, and would spread in the backward pass.
    blind = ~jnp.any(seen, axis=-1, keepdims=True)
    seen = seen | (blind & (jnp.arange(tokens + missing) == 0))
    block = next(size for size in BLOCKS if (tokens + missing) % size == 0)
    blocks = kernels.BlockSizes(*(block,) * 8)

    def one_row(q, k, v, seen):
        mask = jnp.broadcast_to(seen, (heads // groups, *seen.shape))
        kernel = kernels.make_splash_mqa_single_device(
            mask, block_sizes=blocks, interpret=interpret
        )
        # The library makes an array of this flag, and asks for its value while it is traced.
        kernel.fwd_mask_info = kernel.fwd_mask_info._replace(is_dynamic_mask=True)
        return jax.vmap(kernel)(q, k, v)

    q = (q * width**-0.5).astype(q.dtype)
    q = q.reshape(batch, -1, groups, heads // groups, width).transpose(0, 2, 3, 1, 4)
    k, v = (x.transpose(0, 2, 1, 3) for x in (k, v))
    found = jax.vmap(one_row)(q, k, v, seen)
    return found.transpose(0, 3, 1, 2, 4).reshape(batch, -1, heads, width)[:, :tokens]
