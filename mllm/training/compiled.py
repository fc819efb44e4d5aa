"""Compiled programs outlive the process, and what compiling took is counted."""

import os
from pathlib import Path

import jax

SWITCH = "MLLM_COMPILE_CACHE"
_SECONDS = "/jax/core/compile/backend_compile_duration"
_HIT = "/jax/compilation_cache/cache_hits"


def keep_programs() -> None:
    """Keep compiled programs on disk for the next process.

    They go where JAX_COMPILATION_CACHE_DIR says, else below ``XDG_CACHE_HOME`` (~/.cache) in
    ``mllm/programs``; MLLM_COMPILE_CACHE=off keeps none.

    Raises:
      ValueError: others may write into the folder. A program that is read from it is run.
    """
    if os.environ.get(SWITCH) == "off":
        jax.config.update("jax_enable_compilation_cache", False)
        return
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "mllm" / "programs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ValueError(
            f"{folder}: others can write compiled programs into it; make it yours alone (chmod "
            f"700), or set JAX_COMPILATION_CACHE_DIR to another folder or {SWITCH}=off"
        )
    jax.config.update("jax_compilation_cache_dir", str(folder))


class CompileCount:
    """Programs compiled or fetched since this was made, the seconds that took, and how many came
    from disk.
    """

    def __init__(self):
        self.programs, self.seconds, self.hits = 0, 0.0, 0
        jax.monitoring.register_event_duration_secs_listener(self._took)
        jax.monitoring.register_event_listener(self._happened)

    def _took(self, event: str, seconds: float, **_) -> None:
        if event == _SECONDS:
            self.programs, self.seconds = self.programs + 1, self.seconds + seconds

    def _happened(self, event: str, **_) -> None:
        self.hits += event == _HIT

    def counts(self, since: dict | None = None) -> dict:
        """Return {"programs", "seconds", "hits"}, less the counts ``since``, returned before."""
        now = {"programs": self.programs, "seconds": self.seconds, "hits": self.hits}
        return {name: round(value - (since or {}).get(name, 0), 1) for name, value in now.items()}


COMPILED = CompileCount()
