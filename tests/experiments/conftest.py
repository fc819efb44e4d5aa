"""Entry points as a user starts them: their own process, from the root of the repository."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from compiling import xla_flags

ROOT = Path(__file__).parents[2]
MICRO = "tests/experiments/micro.py"


class Commands:
    """Starts ``python -m experiments.NAME``; compiled programs are shared between processes."""

    def __init__(self, folder: Path):
        self.environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": xla_flags(),
            "JAX_COMPILATION_CACHE_DIR": str(folder),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }

    def line(self, name: str, *arguments: object) -> list[str]:
        """The words of a command."""
        return [sys.executable, "-m", f"experiments.{name}", *map(str, arguments)]

    def start(self, name: str, *arguments: object, **options) -> subprocess.Popen:
        """The process, leader of a group of its own."""
        return subprocess.Popen(
            self.line(name, *arguments),
            cwd=ROOT,
            env=self.environment,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, name: str, *arguments: object) -> subprocess.CompletedProcess:
        """The finished process with its output."""
        process = self.start(name, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def refused(self, name: str, *arguments: object) -> str:
        """The message of a command that must be refused: exit 2, a few lines, no traceback."""
        done = self.run(name, *arguments)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
        return done.stderr[done.stderr.index("error: ") :]


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    return Commands(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def micro(data_dir):
    """The flags that choose the micro study on the prepared benchmark."""
    return ["--config", MICRO, f"--config.benchmark.data_dir={data_dir}"]
