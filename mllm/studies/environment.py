"""What goes into every record of results: the command, the versions, the device, the revision."""

import hashlib
import json
import platform
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import jax


def digest(value: object) -> str:
    """Return sha256 hex of JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def command_line() -> str:
    """Return the command that started this process, as one would type it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    started = [sys.argv[0]] if spec is None else ["-m", spec.name.removesuffix(".__main__")]
    return shlex.join(["python", *started, *sys.argv[1:]])


@cache
def revision(folder: Path) -> str:
    """Return the commit that a checkout was at when this process first asked, "unknown" outside of
    one. A process runs the code that it imported, whatever is committed while it runs.
    """
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def environment() -> dict:
    """Return versions, backend, devices and revision, for results.json and run.json."""
    return {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "machine": platform.machine(),
        "git": revision(Path(__file__).parent),
    }
