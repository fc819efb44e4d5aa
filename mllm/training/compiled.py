"""Compiled programs outlive the process, and what compiling took is counted.

JAX runs whatever lies on disk under a program's name. So each entry begins with a digest of its
name and content; a damaged one, and one that stands under another's name, is compiled again.
"""

import contextlib
import hashlib
import os
import sys
import threading
from pathlib import Path

import jax
from jax._src import compilation_cache
from jax._src.compilation_cache_interface import CacheInterface

SWITCH = "MLLM_COMPILE_CACHE"
_SECONDS = "/jax/core/compile/backend_compile_duration"
_CHECKED = "checked-"  # begins the names of our entries, which no other program of JAX reads
_HIT = "/jax/compilation_cache/cache_hits"


def keep_programs() -> None:
    """Keep compiled programs on disk for the next process.

    They go where JAX_COMPILATION_CACHE_DIR says, else below ``XDG_CACHE_HOME`` (~/.cache) in
    ``mllm/programs``; MLLM_COMPILE_CACHE=off keeps none. Where that folder cannot be made, none are
    kept.

    Raises:
      ValueError: others may write into the folder. A program that is read from it is run.
    """
    if os.environ.get(SWITCH) == "off":
        jax.config.update("jax_enable_compilation_cache", False)
        return
    _check_programs()
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = home / "mllm" / "programs"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where the home is
        _say_unkept(error)
        jax.config.update("jax_enable_compilation_cache", False)
        return
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ValueError(
            f"{folder}: others can write compiled programs into it; make it yours alone (chmod "
            f"700), or set JAX_COMPILATION_CACHE_DIR to another folder or {SWITCH}=off"
        )
    jax.config.update("jax_compilation_cache_dir", str(folder))


class CheckedCache(CacheInterface):
    """A cache of JAX whose entries are returned only if they are what was put under their name."""

    def __init__(self, cache: CacheInterface):
        self._cache, self._path = cache, cache._path

    def get(self, key: str) -> bytes | None:
        """Return what was put under a key, None if there is nothing or something else."""
        try:
            stored = self._cache.get(_CHECKED + key)
        except OSError:
            return None
        if stored is None:
            return None
        digest, value = stored[:32], stored[32:]
        if digest == _bound(key, value):
            return value
        with contextlib.suppress(OSError):  # JAX never writes over an entry
            (Path(self._path) / f"{_CHECKED}{key}-cache").unlink()
        return None

    def put(self, key: str, value: bytes) -> None:
        """Keep a compiled program, if the disk takes it."""
        with contextlib.suppress(OSError):
            self._cache.put(_CHECKED + key, _bound(key, value) + value)


def _bound(key: str, value: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + value).digest()


def _check_programs() -> None:
    """Let JAX read programs from disk through ``CheckedCache``, once per process."""
    opened = compilation_cache.get_file_cache
    if getattr(opened, "checked", False):
        return

    def open_checked(path: str):
        try:
            found = opened(path)
        except OSError as error:
            _say_unkept(error)
            return None
        return None if found is None else (CheckedCache(found[0]), found[1])

    open_checked.checked = True
    compilation_cache.get_file_cache = open_checked


def _say_unkept(error: Exception) -> None:
    print(f"compiled programs are not kept for the next process: {error}", file=sys.stderr)


class CompileCount:
    """Programs compiled or fetched since this was made, the seconds that took, those of all threads
    together, and how many came from disk.
    """

    def __init__(self):
        self.programs, self.seconds, self.hits = 0, 0.0, 0
        self._counting = threading.Lock()
        jax.monitoring.register_event_duration_secs_listener(self._took)
        jax.monitoring.register_event_listener(self._happened)

    def _took(self, event: str, seconds: float, **_) -> None:
        if event == _SECONDS:
            with self._counting:
                self.programs, self.seconds = self.programs + 1, self.seconds + seconds

    def _happened(self, event: str, **_) -> None:
        if event == _HIT:
            with self._counting:
                self.hits += 1

    def counts(self, since: dict | None = None) -> dict:
        """Return {"programs", "seconds", "hits"}, less the counts ``since``, returned before."""
        now = {"programs": self.programs, "seconds": self.seconds, "hits": self.hits}
        return {name: round(value - (since or {}).get(name, 0), 1) for name, value in now.items()}


COMPILED = CompileCount()
