"""A second process compiles nothing; nothing but what was kept under its own name is run, and a
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


def swap(one, other):
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


def cut(path):
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.thorough
@pytest.mark.slow
def test_what_was_kept_is_read_unless_it_is_damaged_or_swapped(tmp_path):
    """The second process finds four entries damaged and compiles again; the third reads all."""
    program = PROGRAM + "\nprint(float(jax.jit(lambda x: (x * 2).sum())(jnp.ones((8, 8)))))"
    program += "\nprint(float(jax.jit(lambda x: (x * 3).max())(jnp.ones((8, 8)))))"
    code, errors, told = run(tmp_path, program)
    kept = entries(tmp_path)
    assert code == 0 and len(kept) >= 4, errors
    assert (tmp_path / "mllm" / "programs").stat().st_mode & 0o077 == 0
    swap(*kept[:2])
    for number, path in enumerate(kept[2:]):
        (flip, cut)[number % 2](path)
    code, errors, again = run(tmp_path, program)
    assert code == 0 and not errors.strip(), errors
    assert entries(tmp_path) == kept
    third = run(tmp_path, program)[2]
    counts = [json.loads(output.splitlines()[0]) for output in (told, again, third)]
    assert [count["hits"] for count in counts[:2]] == [0, 0] and counts[2]["hits"] > 0
    assert len({count["programs"] for count in counts}) == 1
    assert len({tuple(output.splitlines()[1:]) for output in (told, again, third)}) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions")
def test_without_a_place_for_programs_none_are_kept(tmp_path):
    (tmp_path / "file").write_text("no folder")
    code, errors, told = run(tmp_path / "file")
    assert code == 0 and json.loads(told)["programs"] > 0
    assert errors.startswith("compiled programs are not kept") and errors.count("\n") == 1
