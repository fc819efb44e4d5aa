"""Leaves in text and in sound as points of a plane."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.hear.representation.said_heard import PLACES, States
from mllm.benchmarks.hear.representation.transfer import common_leaves, leaf_means


def plane_rows(
    text: States, sounds: States, layers: Sequence[int], kinds: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return points of leaves, a row for each place, layer and leaf: text and sound [x, y]; kind;
    and share, the part of the variance that the plane shows.

    The mean of each kind is taken away first, for a shift between them says nothing of kinds of
    sounds. The plane is that of the two principal components of both together.

    Args:
      kinds: leaf -> what it is a kind of.
    """
    leaves, rows = common_leaves(text, sounds), []
    for place, name in enumerate(PLACES):
        for layer in layers:
            means = [leaf_means(one, leaves, place, layer) for one in (text, sounds)]
            both = np.concatenate([_spread(one - one.mean(axis=0)) for one in means])
            points, share = _principal(both)
            for row, leaf in enumerate(leaves):
                said, heard = points[row], points[row + len(leaves)]
                where = {
                    "place": name,
                    "layer": layer,
                    "leaf": leaf,
                    "kind": kinds[leaf],
                    "share": share,
                }
                rows.append({**where, "text": said.tolist(), "sound": heard.tolist()})
    return rows


def _spread(values: np.ndarray) -> np.ndarray:
    """Return values [N, D] whose mean square distance from their mean is 1."""
    size = np.sqrt((values**2).sum(axis=1).mean())
    return values / size if size > 0 else values


def _principal(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return ([N, 2] on the two principal components of [N, D], their share of the variance)."""
    _, sizes, directions = np.linalg.svd(values, full_matrices=False)
    signs = np.sign(directions[range(2), np.abs(directions[:2]).argmax(axis=1)])
    total = (sizes**2).sum()
    return values @ (directions[:2].T * signs), float((sizes[:2] ** 2).sum() / max(total, 1e-12))
