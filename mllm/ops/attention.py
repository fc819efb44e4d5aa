"""Attention whose mask is structure: positions and segments, turned into a mask only where the
scores are.

Three implementations, each equal to the reference ``masked_attention``: "xla", which is it, "cudnn"
and "splash". ``choose`` says which is taken. The compiler cannot split a kernel over a mesh, and
the backend here need not be what is compiled for, so ``kernels_for`` says both from outside; what
nobody speaks for takes no kernel.

B batch, T queries, S keys, H heads, K key-value heads, G = H / K, D head width.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import jax
import jax.numpy as jnp
from flax import struct

from mllm.ops.splash import splash_attention

SHORTEST = 256  # queries from which on a kernel pays


@struct.dataclass
class Structure:
    """Who attends to whom in a batch of rows that hold a shared prefix and branches behind it.

    A query sees a key when the key does not stand later (``positions``, which go on from the prefix
    in each segment) and belongs to the shared prefix (segment 0) or to the query's own segment.
    Segment -1 marks padding: never seen. For a query that is padding the result is meaningless.

    Attributes:
      query_positions, query_segments: i32[B, T].
      key_positions, key_segments: i32[B, S].
      plain: known to be whole rows of one branch each, queries and keys the same tokens in order,
        padding at the right.
    """

    query_positions: jax.Array
    query_segments: jax.Array
    key_positions: jax.Array
    key_segments: jax.Array
    plain: bool = struct.field(pytree_node=False, default=False)

    def mask(self, window: int | None = None) -> jax.Array:
        """bool[B, T, S], true where query t may attend to key s; ``window`` hides keys that stand
        that many positions or more before the query (Mistral 7B, arXiv:2310.06825, section 2).
        """
        keys = self.key_segments[:, None, :]
        ahead = self.query_positions[:, :, None] - self.key_positions[:, None, :]
        same = (keys == 0) | (keys == self.query_segments[:, :, None])
        seen = (ahead >= 0) & (keys >= 0) & same
        return seen if window is None else seen & (ahead < window)


def causal(positions: jax.Array, segments: jax.Array, *, plain: bool = False) -> Structure:
    """The structure of whole rows: i32[B, T] positions and segments of their tokens."""
    return Structure(positions, segments, positions, segments, plain)


def every_query_sees(keys: jax.Array, queries: int) -> Structure:
    """The structure without order in which each of ``queries`` sees the keys true in bool[B, S]."""
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
    """Softmax attention with grouped heads; keys and values are never repeated.

    Args:
      q: float[B, T, H, D].
      k, v: float[B, S, K, D], K divides H; query head h reads key-value head h // (H / K).
      structure: who attends to whom; None lets every query see every key.
      window: of ``Structure.mask``.
      impl: a name of ``IMPLEMENTATIONS``; None takes what ``choose`` takes.

    Returns:
      float[B, T, H, D] in the dtype of ``q``; scores and softmax are float32.
    """
    platform, split = _KERNELS.get()
    if impl is None:
        impl = choose(platform, q, k, structure)
    if impl == "xla":
        return masked_attention(q, k, v, structure, window=window)

    def kernel(q, k, v, structure):
        return IMPLEMENTATIONS[impl](q, k, v, structure, window=window)

    return kernel(q, k, v, structure) if split is None else split(kernel, q, k, v, structure)


def choose(platform: str, q: jax.Array, k: jax.Array, structure: Structure | None) -> str:
    """The implementation for arrays of these shapes on "tpu", "gpu" or "cpu".

    Kernels are for long rows that attend to themselves. On a GPU a mask would become a bias with a
    gradient of its own, so that rows with a shared prefix stay with "xla" there; widths are those
    of every GPU that cuDNN knows. The splash kernel works in lanes of 128.
    """
    tokens, width = q.shape[1], q.shape[3]
    itself = structure is not None and tokens == k.shape[1] == structure.key_positions.shape[1]
    if not itself or tokens < SHORTEST:
        return "xla"
    if platform == "tpu" and width in (128, 256):
        return "splash"
    half = q.dtype in (jnp.bfloat16, jnp.float16)
    if platform == "gpu" and structure.plain and half and width % 8 == 0 and width <= 128:
        return "cudnn"
    return "xla"


@contextlib.contextmanager
def kernels_for(platform: str, split: Callable | None = None) -> Iterator[None]:
    """While this is entered, what is traced is for a platform, whatever backend runs here; it is to
    be entered inside of what is jitted, since what was traced before keeps what it took.

    ``mllm.parallel.kernels.kernels_on`` tells both arguments from a mesh.

    Args:
      platform: "tpu", "gpu" or "cpu".
      split: ``split(kernel, q, k, v, structure)`` calls a kernel part by part on the devices of a
        mesh; None where there is one device.
    """
    before = _KERNELS.set((platform, split))
    try:
        yield
    finally:
        _KERNELS.reset(before)


_KERNELS: ContextVar[tuple[str, Callable | None]] = ContextVar("kernels", default=("cpu", None))


def masked_attention(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    structure: Structure | None = None,
    *,
    window: int | None = None,
) -> jax.Array:
    """``attention`` with a mask over all scores: the reference."""
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
    """``attention`` by cuDNN's flash kernel, for plain structures: causal, padded at the right."""
    lengths = jnp.sum(structure.key_segments >= 0, axis=1, dtype=jnp.int32)
    lengths = jnp.maximum(lengths, 1)  # a row of nothing but padding has no softmax
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
    """``attention`` by the splash kernel: rows attend to themselves."""
    return splash_attention(
        q, k, v, None if structure.plain else structure.mask(window), window=window
    )


IMPLEMENTATIONS = {"xla": masked_attention, "cudnn": cudnn_attention, "splash": masked_splash}
