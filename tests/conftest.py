"""Every test runs on eight CPU devices, so that sharding is exercised without an accelerator. Those
few that need a GPU are skipped, but where JAX_PLATFORMS=cuda asks for it.

Most of a test's time is compilation: XLA optimises little (``compiling``), and compiled programs
are kept between runs. With XLA_FLAGS=--xla_backend_optimization_level=3 it compiles as for users.
"""

import gc
import os
import signal
import sys
import tempfile
from pathlib import Path

from compiling import xla_flags

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = xla_flags(os.environ.get("XLA_FLAGS", ""), devices=8)
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"mllm-programs-{os.getuid()}")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# JAX writes the stack of each operation into what it compiles, and under pytest stacks are deep.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# Commands that tests start read compiled modules, which the first of them writes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A script's background job ignores Ctrl-C, and so would the commands that tests start and stop.
signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """The root of TFDS datasets that holds the small benchmark; tests only read it.

    It is built once for all workers of pytest-xdist: the others wait for the one that builds it.
    """
    from mllm.benchmarks.mllmu import prepare

    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "mllmu_data"
    prepare(folder, "small", seed=0)
    return folder


def pytest_collection_finish():
    """Collect garbage seldom, and never among the imported libraries: that took a tenth of the time
    of tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_collection_modifyitems(items):
    """Begin with the files that hold long tests, so that all workers end at the same time.

    The order of a file's own tests stays. Workers take files as they come
    (``--no-loadscope-reorder``); by default those of few tests, which are the long ones, come last.
    """
    long = {item.path for item in items if item.get_closest_marker("thorough")}
    items.sort(key=lambda item: item.path not in long)
