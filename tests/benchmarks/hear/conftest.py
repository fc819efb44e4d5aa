"""The smallest generated data set, made once; tests only read it."""

import pytest

from mllm.benchmarks.hear.benchmark import Benchmark, prepare


@pytest.fixture(scope="session")
def hear_micro_dir(tmp_path_factory):
    """The root of TFDS data sets that holds config "micro" of seed 0."""
    folder = tmp_path_factory.mktemp("hear")
    prepare(folder, "micro", seed=0, processes=1)
    return folder


@pytest.fixture(scope="session")
def hear_micro(hear_micro_dir):
    """The benchmark of config "micro"."""
    return Benchmark.open(hear_micro_dir, "micro", seed=0)
