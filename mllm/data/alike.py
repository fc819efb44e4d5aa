"""The batches of several pipelines in arrays of the same shapes, so that one program takes all.

R rows, I media of a row.
"""

from collections.abc import Sequence

import numpy as np

from mllm.data.pipeline import Pipeline

ABSENT = ("slots", "offsets", "instructions")  # of media, whose entries are -1 where none is


def alike_batches(pipelines: Sequence[Pipeline], step: int) -> list[dict]:
    """Return the batch of a step of each pipeline, padded to the shapes of the largest one.

    Args:
      pipelines: whose rows have the same capacity, and whose examples show the same kinds of media.
    """
    shapes = [pipeline.shape_at(step) for pipeline in pipelines]
    largest = max(shapes, key=lambda shape: (shape.tokens, shape.supervised))
    batches = [pipeline.batch_at(step, largest) for pipeline in pipelines]
    for kind in batches[0].get("media", {}):
        media = [batch["media"][kind] for batch in batches]
        for name in media[0]:
            most = np.max([arrays[name].shape for arrays in media], axis=0)
            for arrays in media:
                arrays[name] = _padded(arrays[name], most, -1 if name in ABSENT else 0)
    return batches


def _padded(array: np.ndarray, shape: np.ndarray, fill: int) -> np.ndarray:
    room = [(0, most - size) for most, size in zip(shape, array.shape, strict=True)]
    return np.pad(array, room, constant_values=fill) if any(more for _, more in room) else array
