"""A cloud of stubs that the TPU scripts find on their PATH."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
STUBS = ("gcloud", "tmux", "sleep", "python3", "python", "pip", "sudo", "mountpoint", "gcsfuse")
GIVEN = ("--name=my-tpu", "--zone=us-central2-b", "--type=v4-16")  # two hosts
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *IDENTITY, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Call(NamedTuple):
    program: str
    worker: str
    arguments: list[str]


class Cloud:
    """Run scripts of a checkout, and record what they call."""

    def __init__(self, checkout: Path, folder: Path):
        self.checkout, self.folder = checkout, folder
        (folder / "bin").mkdir(parents=True)
        for name in STUBS:
            (folder / "bin" / name).symlink_to(Path(__file__).parent / "stub.sh")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("TPU_")} | {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "STUB_FOLDER": str(folder),
            "TMPDIR": str(folder),
            "HOSTNAME": "laptop",
        }
        self.foresee()

    def foresee(self, states=("ACTIVE",), running=(), exit_code=0) -> None:
        """The states that gcloud lists, one per call; the workers on which a session runs."""
        (self.folder / "calls").write_text("")
        (self.folder / "states").write_text("".join(f"{state}\n" for state in states))
        (self.folder / "exit_code").write_text(str(exit_code))
        shutil.rmtree(self.folder / "running", ignore_errors=True)
        (self.folder / "running").mkdir()
        for worker in running:
            (self.folder / "running" / worker).touch()

    def bash(self, *arguments, **options) -> subprocess.CompletedProcess:
        options = dict(cwd=self.folder, env=self.environment, input="") | options
        return subprocess.run(["bash", *arguments], capture_output=True, text=True, **options)

    def run(self, script: str, *arguments: str, given=GIVEN, **options):
        return self.bash(str(self.checkout / "tpu_scripts" / script), *given, *arguments, **options)

    def calls(self, program=None) -> list[Call]:
        """What was called since ``foresee``, in this order."""
        records = (self.folder / "calls").read_text().split("\x1e")[:-1]
        words = [record.split("\x1f")[:-1] for record in records]
        calls = [Call(name, worker, arguments) for name, worker, *arguments in words]
        return [call for call in calls if program in (None, call.program)]

    def gcloud(self) -> list[list[str]]:
        return [call.arguments for call in self.calls("gcloud")]

    def worker(self, number: int, node: str = "my-tpu") -> Path:
        """The checkout in the home of a worker."""
        return self.folder / "workers" / f"{node}-w-{number}" / "mllm"

    def log(self, number: int) -> Path:
        return self.worker(number) / "logs" / "mllm" / f"my-tpu-w-{number}.log"

    def install(self, *nodes: str) -> None:
        """Leave the workers as setup.sh leaves them."""
        for node in nodes or ("my-tpu",):
            for number in range(2):
                home = self.worker(number, node)
                shutil.copytree(self.checkout / "tpu_scripts", home / "tpu_scripts")
                (home / ".venv" / "bin").mkdir(parents=True)
                (home / ".venv" / "bin" / "python").symlink_to(self.folder / "bin" / "python")
