"""Which blocks are visited, against the mask over all pairs."""

import numpy as np
import pytest

from mllm.ops.attention import causal
from mllm.ops.blocks import reach, schedule


def packed(rng, tokens):
    """positions, segments i32[6, tokens]: a prefix, branches and padding of random lengths; one row
    has no prefix, one is padding alone.
    """
    positions, segments = np.zeros((2, 6, tokens), np.int32)
    segments[:] = -1
    for row in range(5):
        prefix = 0 if row == 0 else int(rng.integers(1, tokens))
        positions[row, :prefix], segments[row, :prefix] = np.arange(prefix), 0
        start, number = prefix, 1
        while start < tokens * 0.9:
            end = min(tokens, start + int(rng.integers(1, 20)))
            positions[row, start:end] = prefix + np.arange(end - start)
            segments[row, start:end] = number
            start, number = end, number + 1
    return positions, segments


@pytest.mark.parametrize("window", [None, 1, 13])
@pytest.mark.parametrize("rows, columns", [(8, 8), (4, 16), (16, 4)])
def test_blocks_are_skipped_or_whole_only_where_the_mask_is(rows, columns, window):
    positions, segments = packed(np.random.default_rng(rows), 64)
    places = np.stack([positions, segments], axis=1)
    some, whole = (np.asarray(x) for x in reach(places, places, rows, columns, window))
    mask = np.asarray(causal(positions, segments).mask(window))
    real = segments >= 0

    def of_blocks(pairs):
        blocks = pairs.reshape(6, 64 // rows, rows, 64 // columns, columns)
        return blocks.transpose(0, 1, 3, 2, 4).reshape(*some.shape, -1)

    seen = of_blocks(mask & real[:, :, None])
    assert not (seen.any(-1) & ~some).any()
    assert not (~of_blocks(mask | ~real[:, :, None]).all(-1) & whole).any()
    if window is None:
        assert whole.sum() > 10 and some.sum() <= 1.25 * seen.any(-1).sum()


def test_whole_blocks_come_first():
    some = np.array([[[True, False, True, True]]])
    whole = np.array([[[False, False, True, False]]])
    order, ends = schedule(some, whole)
    np.testing.assert_array_equal(order, [[[2, 0, 3, 1]]])
    np.testing.assert_array_equal(ends, [[[1, 3]]])
