"""A second process compiles nothing, and a folder that others can write is refused."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, jax, jax.numpy as jnp
from mllm.training.compiled import COMPILED, keep_programs
keep_programs()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.jit(lambda x: jnp.tanh(x @ x).sum())(jnp.ones((8, 8)))
print(json.dumps(COMPILED.counts()))
"""


def run(cache, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    environment |= {"XDG_CACHE_HOME": str(cache), "JAX_PLATFORMS": "cpu", **variables}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    return found.returncode, found.stderr, found.stdout


@pytest.mark.thorough
def test_a_second_process_reads_what_the_first_compiled(tmp_path):
    first, second = (json.loads(run(tmp_path)[2]) for _ in range(2))
    assert first["programs"] == second["programs"] > 0
    assert first["hits"] == 0 and second["hits"] > 0
    assert (tmp_path / "mllm" / "programs").stat().st_mode & 0o077 == 0


def test_the_switch_keeps_nothing(tmp_path):
    told = json.loads(run(tmp_path, MLLM_COMPILE_CACHE="off")[2])
    assert told["programs"] > 0 and not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_a_folder_that_others_can_write_is_refused(tmp_path):
    folder = tmp_path / "mllm" / "programs"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    code, errors, _ = run(tmp_path)
    assert code != 0 and f"{folder}: others can write compiled programs into it" in errors
