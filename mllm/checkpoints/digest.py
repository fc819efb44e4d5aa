"""A fingerprint of weights: equal for equal trees, whatever file or device they come from."""

import hashlib

import jax
import numpy as np


def weights_digest(tree: dict) -> str:
    """sha256 hex over path, dtype, shape and bytes of every leaf, in order of path."""
    total = hashlib.sha256()
    for path, leaf in sorted(
        (jax.tree_util.keystr(path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ):
        array = np.asarray(leaf)
        total.update(f"{path} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
