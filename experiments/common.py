"""What every entry point shares: the flags, the configuration, the environment that goes into
results.
"""

import hashlib
import json
import platform
import shlex
import subprocess
import sys
from pathlib import Path

import jax
from absl import flags, logging
from ml_collections import ConfigDict, config_flags

# Libraries tell much at level INFO; what a user should see is printed.
logging.set_verbosity(logging.WARNING)

CONFIG = config_flags.DEFINE_config_file("config", help_string="configs/….py; --config.key=value")


def get_config() -> ConfigDict:
    """The configuration of the command line.

    Raises:
      ValueError: no --config was given.
    """
    if CONFIG.value is None:
        raise ValueError("--config is missing; for example --config configs/mllmu/tiny.py")
    return CONFIG.value


def define_workdir(help_string: str) -> flags.FlagHolder:
    """The flag --workdir, which must be given."""
    return flags.DEFINE_string("workdir", None, help_string, required=True)


def digest(value: object) -> str:
    """sha256 hex of JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def command_line() -> str:
    """The command that started this process, as one would type it."""
    return shlex.join(["python", "-m", f"experiments.{Path(sys.argv[0]).stem}", *sys.argv[1:]])


def environment() -> dict:
    """Versions, backend and revision, for results and run.json."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        revision = subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        revision = "unknown"
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "machine": platform.machine(),
        "git": revision,
    }
