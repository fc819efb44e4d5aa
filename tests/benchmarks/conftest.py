"""The small benchmark, built once for all tests of this folder."""

import pytest

from mllm.benchmarks.mllmu import prepare
from mllm.benchmarks.mllmu.generate import SIZES, generate


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mllmu_data")
    prepare(folder, "small", seed=0)
    return folder


@pytest.fixture(scope="session")
def full_splits():
    """The rows of the full benchmark without their pictures."""
    return generate(SIZES["full"], seed=0, draw_images=False)[0]
