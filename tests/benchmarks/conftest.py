"""The full benchmark's rows, drawn once for all tests of this folder."""

import pytest

from mllm.benchmarks.mllmu.generate import SIZES, generate


@pytest.fixture(scope="session")
def full_splits():
    """The rows of the full benchmark without their pictures."""
    return generate(SIZES["full"], seed=0, draw_images=False)[0]
