"""Attention masked by structure: positions and segments, which become a mask only where the scores
are computed.

"xla" is the reference, ``masked_attention``; "cudnn", "flash" and "splash" equal it. ``choose``
selects one. The compiler cannot split a kernel over a mesh, and the program may be compiled for
another platform than the local one, so the caller declares both with ``kernels_for``. Without a
declaration no kernel is used.

B batch, T queries, S keys, H heads, K key-value heads, G = H / K, D head width.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import jax
import jax.numpy as jnp
from flax import struct
from jax.ad_checkpoint import checkpoint_name

from mllm.ops.flash import OUT, flash_attention
from mllm.ops.splash import splash_attention
from mllm.registry import lookup

SHORTEST = 256  # the fewest queries for which a kernel is faster
GPUS = {"gpu": 256, "small gpu": 128}  # the widest heads that the flash kernel takes


@struct.dataclass
class Structure:
    """Who attends to whom in a batch of rows that hold a shared prefix followed by branches.

    A query sees a key if the key's position is not later (``positions`` continue from the prefix
    in each segment) and the key belongs to the shared prefix (segment 0) or to the query's own
    segment. Segment -1 marks padding, which no query sees. The result for a padding query is
    meaningless.

    Attributes:
      query_positions, query_segments: i32[B, T].
      key_positions, key_segments: i32[B, S].
      plain: whether each row is known to be one branch, with queries and keys the same tokens in
        order and padding on the right.
    """

    query_positions: jax.Array
    query_segments: jax.Array
    key_positions: jax.Array
    key_segments: jax.Array
    plain: bool = struct.field(pytree_node=False, default=False)

    def mask(self, window: int | None = None) -> jax.Array:
        """Return bool[B, T, S], true where query t may attend to key s.

        ``window`` hides keys that are that many positions or more before the query (Mistral 7B,
        arXiv:2310.06825, section 2).
        """
        keys = self.key_segments[:, None, :]
        ahead = self.query_positions[:, :, None] - self.key_positions[:, None, :]
        same = (keys == 0) | (keys == self.query_segments[:, :, None])
        seen = (ahead >= 0) & (keys >= 0) & same
        return seen if window is None else seen & (ahead < window)


def causal(positions: jax.Array, segments: jax.Array, *, plain: bool = False) -> Structure:
    """Return the structure of whole rows, from i32[B, T] positions and segments of their tokens."""
    return Structure(positions, segments, positions, segments, plain)


def every_query_sees(keys: jax.Array, queries: int) -> Structure:
    """Return the structure without order in which all queries see the keys true in bool[B, S]."""
    zeros = jnp.zeros((keys.shape[0], queries), jnp.int32)
    return Structure(zeros, zeros, jnp.zeros(keys.shape, jnp.int32), jnp.where(keys, 0, -1))


def attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    structure: Structure | None = None,
    *,
    window: int | None = None,
    impl: str | None = None,
) -> jax.Array:
    """Compute softmax attention with grouped heads, without repeating keys or values.

    For remat policies the result is named "attention_out", and what the kernels "flash" and
    "splash" keep beside it, one float32 a query and head, "attention_lse" or "attention_out".

    Args:
      q: float[B, T, H, D].
      k, v: float[B, S, K, D], where K divides H; query head h reads key-value head h // (H / K).
      structure: who attends to whom; None lets every query see every key.
      window: see ``Structure.mask``.
      impl: a key of ``IMPLEMENTATIONS``; None leaves it to ``choose``.

    Returns:
      float[B, T, H, D] in the dtype of ``q``; scores and softmax are float32.

    Raises:
      ValueError: ``impl`` is unknown, or "cudnn" for rows with branches before jax 0.11.1.
    """
    platform, split, forced = _KERNELS.get()
    if impl is None:
        impl = choose(platform, q, k, structure, forced)
    attend = lookup(IMPLEMENTATIONS, impl, "attention implementation")

    def kernel(q, k, v, structure):
        found = attend(q, k, v, structure, window=window)
        return found if impl in ("flash", "splash") else checkpoint_name(found, OUT)

    with jax.named_scope("attention"):
        if impl == "xla" or split is None:
            return kernel(q, k, v, structure)
        return split(kernel, q, k, v, structure)


def choose(
    platform: str,
    q: jax.Array,
    k: jax.Array,
    structure: Structure | None,
    forced: str | None = None,
) -> str:
    """Choose the implementation for arrays of these shapes; the platform is as in ``kernels_for``.

    Kernels are for long rows that attend to themselves. The splash kernel works in lanes of 128. On
    a GPU, rows of one branch take cuDNN, at the widths that it supports on every GPU; all others
    take the flash kernel, which neither writes scores nor reads branches that a query cannot see.
    Float32 takes "xla", and so do wide heads where shared memory is small. The choice on GPUs is by
    this argument and not measured: ``experiments.bench`` times each implementation.

    Args:
      forced: the implementation for all rows for which a kernel could be chosen.
    """
    tokens, width = q.shape[1], q.shape[3]
    itself = structure is not None and tokens == k.shape[1] == structure.key_positions.shape[1]
    if not itself or tokens < SHORTEST:
        return "xla"
    if forced is not None:
        return forced
    if platform == "tpu" and width in (128, 256):
        return "splash"
    if _flash_serves(platform, q):
        return "cudnn" if structure.plain and width <= 128 else "flash"
    return "xla"


def _flash_serves(platform: str, q: jax.Array) -> bool:
    width, half = q.shape[3], q.dtype in (jnp.bfloat16, jnp.float16)
    return half and width % 8 == 0 and 16 <= width <= GPUS.get(platform, 0)


def flash_part(
    q: jax.Array, k: jax.Array, v: jax.Array, structure: Structure, *, window: int | None = None
) -> tuple[jax.Array, jax.Array] | None:
    """Compute attention to some of the keys with the flash kernel, where there are many of them and
    the declared platform and dtype take it. Parts are joined by their log-sum-exp.

    Args:
      q, k, v, structure, window: as in ``attention``.

    Returns:
      (float[B, T, H, D]; float32[B, T, H], the log-sum-exp of the scores, -inf where a query sees
      nothing); None where the kernel does not serve.
    """
    platform, split, forced = _KERNELS.get()
    serves = k.dtype == q.dtype and k.shape[1] >= SHORTEST and _flash_serves(platform, q)
    if not serves or forced not in (None, "flash"):
        return None

    def kernel(q, k, v, structure):
        queries = structure.query_positions, structure.query_segments
        keys = structure.key_positions, structure.key_segments
        out, lse = flash_attention(q, k, v, queries, keys, window=window)
        return out, lse.swapaxes(1, 2)

    return kernel(q, k, v, structure) if split is None else split(kernel, q, k, v, structure)


@contextlib.contextmanager
def kernels_for(
    platform: str, split: Callable | None = None, impl: str | None = None
) -> Iterator[None]:
    """Choose kernels for a platform, whatever the local backend is.

    Enter this context inside the jitted function: a program that was traced before keeps the
    kernels it was traced with. ``mllm.parallel.kernels.kernels_on`` derives the arguments from a
    mesh.

    Args:
      platform: "tpu", "gpu", "small gpu" (less than 160 KiB of shared memory a multiprocessor) or
        "cpu".
      split: ``split(kernel, q, k, v, structure)`` calls a kernel on each device of a mesh with its
        part of the arrays; None for a single device.
      impl: the implementation for long rows that attend to themselves; None leaves it to
        ``choose``.

    Raises:
      ValueError: ``impl`` is unknown.
    """
    if impl is not None:
        lookup(IMPLEMENTATIONS, impl, "attention implementation")
    before = _KERNELS.set((platform, split, impl))
    try:
        yield
    finally:
        _KERNELS.reset(before)


_KERNELS: ContextVar[tuple[str, Callable | None, str | None]] = ContextVar(
    "kernels", default=("cpu", None, None)
)


def masked_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    structure: Structure | None = None,
    *,
    window: int | None = None,
) -> jax.Array:
    """Compute ``attention`` with a mask over all scores: the reference."""
    batch, queries, heads, width = q.shape
    grouped = q.reshape(batch, queries, k.shape[2], heads // k.shape[2], width)
    scores = jnp.einsum("btkgd,bskd->bkgts", grouped, k, preferred_element_type=jnp.float32)
    scores = scores * width**-0.5
    if structure is not None:
        seen = structure.mask(window)[:, None, None]
        scores = jnp.where(seen, scores, jnp.finfo(jnp.float32).min)
    weights = jax.nn.softmax(scores, axis=-1).astype(v.dtype)
    return jnp.einsum("bkgts,bskd->btkgd", weights, v).reshape(q.shape)


def cudnn_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    structure: Structure,
    *,
    window: int | None = None,
    implementation: str = "cudnn",
) -> jax.Array:
    """Compute ``attention`` with cuDNN's flash kernel, for rows that attend to themselves.

    Branches are hidden from each other by a bias of [B, 1, T, T], which also hides later tokens of
    the row; rows must therefore hold the prefix first and tokens in order, as packed rows do.

    Raises:
      ValueError: the structure is not plain, and this jax would compute a gradient of the bias,
        which cuDNN does not offer for one bias of all heads.
    """
    if not structure.plain:
        if jax.__version_info__ < (0, 11, 1):
            raise ValueError(
                f"attention 'cudnn' for rows with branches needs jax 0.11.1, found "
                f"{jax.__version__}: use 'flash' or 'xla'"
            )
        return jax.nn.dot_product_attention(
            q,
            k,
            v,
            mask=structure.mask(window)[:, None],
            is_causal=True,
            implementation=implementation,
        )
    lengths = jnp.sum(structure.key_segments >= 0, axis=1, dtype=jnp.int32)
    lengths = jnp.maximum(lengths, 1)  # a row of padding alone has no softmax
    return jax.nn.dot_product_attention(
        q,
        k,
        v,
        is_causal=True,
        query_seq_lengths=lengths,
        key_value_seq_lengths=lengths,
        local_window_size=None if window is None else (window - 1, 0),
        implementation=implementation,
    )


def masked_splash(
    q: jax.Array, k: jax.Array, v: jax.Array, structure: Structure, *, window: int | None = None
) -> jax.Array:
    """Compute ``attention`` with the splash kernel, for rows that attend to themselves."""
    return splash_attention(
        q, k, v, None if structure.plain else structure.mask(window), window=window
    )


def masked_flash(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    structure: Structure,
    *,
    window: int | None = None,
    interpret: bool = False,
) -> jax.Array:
    """Compute ``attention`` with the flash kernel; a padding query gets zeros."""
    queries = structure.query_positions, structure.query_segments
    keys = structure.key_positions, structure.key_segments
    return flash_attention(q, k, v, queries, keys, window=window, interpret=interpret)[0]


IMPLEMENTATIONS = {
    "xla": masked_attention,
    "cudnn": cudnn_attention,
    "flash": masked_flash,
    "splash": masked_splash,
}
