"""A second process compiles nothing, nothing but what was kept under its own name is run, and a
folder that others can write is refused.
"""

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


def run(cache, program=PROGRAM, /, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")}
    environment |= {"XDG_CACHE_HOME": str(cache), "JAX_PLATFORMS": "cpu", **variables}
    found = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
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


def entries(folder):
    return sorted(folder.rglob("checked-*-cache"))


def swap(paths):
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, contents[1:] + contents[:1], strict=True):
        path.write_bytes(content)


def flip(paths):
    for path in paths:
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(bytes(content))


def cut(paths):
    for path in paths:
        path.write_bytes(path.read_bytes()[:20])


@pytest.mark.thorough
def test_entries_that_are_damaged_or_swapped_are_compiled_again(tmp_path):
    program = PROGRAM + "\nprint(float(jax.jit(lambda x: (x * 2).sum())(jnp.ones((8, 8)))))"
    code, errors, told = run(tmp_path, program)
    assert code == 0 and len(entries(tmp_path)) > 2, errors
    kept = {path: path.read_bytes() for path in entries(tmp_path)}
    for damage in (swap, flip, cut):
        damage(entries(tmp_path))
        code, errors, again = run(tmp_path, program)
        assert code == 0 and not errors.strip(), errors
        assert again.splitlines()[1:] == told.splitlines()[1:]
        assert json.loads(again.splitlines()[0])["hits"] == 0, damage.__name__
        assert set(entries(tmp_path)) == set(kept)
    assert json.loads(run(tmp_path, program)[2].splitlines()[0])["hits"] > 0


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_without_a_place_for_programs_none_are_kept(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for place in ({}, {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "file" / "programs")}):
        code, errors, told = run(tmp_path / "file", **place)
        assert code == 0 and json.loads(told)["programs"] > 0
        assert errors.startswith("compiled programs are not kept") and errors.count("\n") == 1
