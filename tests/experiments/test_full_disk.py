"""A disk that fills up while a study is trained: what is said, and how the same command goes on."""

import shlex
import subprocess
from pathlib import Path

import pytest

from mllm.checkpoints.folder import load_model
from mllm.files import read_json

ROOT = Path(__file__).parents[2]
# In a name space of mounts of its own; the disk goes with it.
SCRIPT = """
set -e
mkdir -p {disk}
mount -t tmpfs -o size={size} tmpfs {disk}
{command} 2>{disk}.err || echo $? > {disk}.status
mount -o remount,size=200m {disk}
{command}
cp -r {disk} {disk}.kept
"""


def unshared(script: str, **options) -> subprocess.CompletedProcess:
    command = ["unshare", "--mount", "--map-root-user", "bash", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, **options)


def can_mount() -> bool:
    try:
        return unshared("mount -t tmpfs tmpfs /mnt").returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")
@pytest.mark.parametrize("size", ["48k", "200k", "700k", "1100k", "2m"])
def test_the_same_command_goes_on_when_there_is_room(commands, micro, tmp_path, size):
    """Full in the first file, in a model's description, in a checkpoint and in its metadata."""
    disk = tmp_path / "disk"
    command = commands.line("finetune", *micro, "--config.base.epochs=1", "--workdir", disk / "s")
    script = SCRIPT.format(disk=disk, size=size, command=shlex.join(command))
    done = unshared(script, cwd=ROOT, env=commands.environment)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "disk.err").read_text()
    assert (tmp_path / "disk.status").read_text() == "2\n", said
    assert said.count("error: ") == 1
    # TensorStore itself reports writes that end after another one failed.
    assert said.count("Traceback") == said.count("\nRuntimeError: Event loop is closed\n")
    assert f"are free on the disk at {disk}); " in said and "No space left on device" in said
    for name in ("base", "vanilla", "retain_only_15"):
        run = tmp_path / "disk.kept" / "s" / name
        assert read_json(run / "run.json")["checkpoint_digest"] == load_model(run).digest()
