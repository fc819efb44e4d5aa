"""The smallest generated data set, made once; tests only read it."""

import pytest

from mllm.benchmarks.photo.benchmark import prepare


@pytest.fixture(scope="session")
def photo_micro_dir(tmp_path_factory):
    """The root of TFDS data sets that holds config "micro" of seed 0."""
    folder = tmp_path_factory.mktemp("photo")
    prepare(folder, "micro", seed=0, processes=1)
    return folder


@pytest.fixture(scope="session")
def photo_micro(photo_micro_dir):
    """The benchmark of config "micro"."""
    from mllm.benchmarks.photo.benchmark import Benchmark

    return Benchmark.open(photo_micro_dir, "micro", seed=0)
