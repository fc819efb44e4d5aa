"""The smallest generated data set, made once; tests only read it."""

import pytest

from mllm.benchmarks.msr.benchmark import prepare


@pytest.fixture(scope="session")
def msr_micro_dir(tmp_path_factory):
    """The root of TFDS data sets that holds config "micro" of seed 0."""
    folder = tmp_path_factory.mktemp("msr")
    prepare(folder, "micro", seed=0, processes=1)
    return folder


@pytest.fixture(scope="session")
def msr_micro(msr_micro_dir):
    """The benchmark of config "micro"."""
    from mllm.benchmarks.msr.benchmark import Benchmark

    return Benchmark.open(msr_micro_dir, "micro", seed=0)
