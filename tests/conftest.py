"""Every test runs on eight CPU devices, so that sharding is exercised without an accelerator."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
_COUNT = "--xla_force_host_platform_device_count"
if _COUNT not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_COUNT}=8".strip()

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """The root of TFDS datasets that holds the small benchmark, built once; tests only read it."""
    from mllm.benchmarks.mllmu import prepare

    folder = tmp_path_factory.mktemp("mllmu_data")
    prepare(folder, "small", seed=0)
    return folder
