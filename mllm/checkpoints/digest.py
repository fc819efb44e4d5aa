"""A fingerprint of weights, equal for equal trees whatever file or device they come from."""

import hashlib
from collections.abc import Iterator

import jax
import numpy as np

from mllm.parallel.place import fetch, take_layer


def weights_digest(tree: dict) -> str:
    """Return the sha256 hex digest of path, dtype, shape and bytes of every leaf, sorted by path.

    Weights that several processes share are gathered layer by layer. Every process must call this
    function, and each gets the digest.
    """
    total = hashlib.sha256()
    for path, leaf in sorted(
        (
            (jax.tree_util.keystr(path), leaf)
            for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        ),
        key=lambda pair: pair[0],
    ):
        total.update(f"{path} {leaf.dtype} {leaf.shape}\n".encode())
        for part in _parts(leaf):
            total.update(np.ascontiguousarray(part).tobytes())
    return total.hexdigest()


def _parts(leaf) -> Iterator[np.ndarray]:
    """Yield the array in pieces that fit on one device: the layers of a stack one by one."""
    spread = isinstance(leaf, jax.Array) and not leaf.is_fully_addressable
    if spread and leaf.ndim > 2:
        for layer in range(leaf.shape[0]):
            yield fetch(take_layer(leaf, layer))
    else:
        yield fetch(leaf)
