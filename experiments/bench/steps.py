"""The commands of a job, each in a process of its own, with the time and memory that it took."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from experiments.bench.results import code_digest
from experiments.common import say

UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
DATA = ("config", "data_dir", "seed", "published_dir")  # keys that say which data set it is
COMPILED = re.compile(r"compiled (\d+) programs in ([\d.]+) s, (\d+) of them")
DEVICE = re.compile(r"peak of device memory: ([\d.]+) GB")

# A process inherits the peak of the memory of the one that starts it, so a small one starts the
# command and writes down what it took. It outlives the command when both are stopped.
LAUNCHER = """
import os, signal, sys
stops = [signal.SIGINT, signal.SIGTERM]
for number in stops:
    signal.signal(number, signal.SIG_IGN)
words = [sys.executable, *sys.argv[2:]]
_, status, usage = os.wait4(os.posix_spawn(words[0], words, os.environ, setsigdef=stops), 0)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True)
class Step:
    """A command of the job."""

    name: str
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        """Return the command as one would type it."""
        return shlex.join(["python", *self.words])


def steps_of(flags: Sequence[str], config, workdir: Path, random: Path | None) -> list[Step]:
    """Return the commands of a job.

    Args:
      flags: the configuration and its overrides, as given on the command line.
      random: a configuration with the sizes of a model to start from.
    """
    method, model = config.objective.name, workdir / "model"

    def step(name: str, module: str, *words: object) -> Step:
        return Step(name, ("-m", f"experiments.{module}", *map(str, words)))

    found = [step("prepare", "prepare", *flags)]
    if random is not None:
        chosen = {k: config.benchmark.get(k) for k in DATA}
        data = [f"--config.benchmark.{k}={v}" for k, v in chosen.items() if v not in (None, "")]
        words = [f"--config={random}", *data, f"--to={model}"]
        found.append(step("weights", "bench.random_model", *words))
        flags = [*flags, f"--config.pretrained={model}"]
    folder = workdir / method
    chosen = f"--config.objective.name={method}"
    return [
        *found,
        step("finetune", "finetune", *flags, f"--workdir={workdir}"),
        step("unlearn", "unlearn", *flags, chosen, f"--workdir={folder}"),
        step("evaluate", "evaluate", *flags, f"--checkpoint={folder}"),
        step("export", "convert", f"--from={folder}", f"--to={workdir / 'export'}"),
    ]


def config_flags(words: Sequence[str]) -> list[str]:
    """Return the words of a command line that give the configuration, each as --key=value."""
    found, words = [], list(words)
    while words:
        word = words.pop(0)
        name = word.lstrip("-")
        if word.startswith("-") and re.match(r"config(\.|=|$)", name):
            found.append(f"--{name}" if "=" in name else f"--{name}={words.pop(0)}")
    return found


def do(steps: Sequence[Step], records: dict[str, dict], logs: Path) -> Iterator[dict]:
    """Run the commands that ``records`` does not hold as done, and yield each record.

    Args:
      records: by name of a step; changed.
      logs: folder of what the commands print.

    Raises:
      ValueError: a command failed; the message names it and the file with what it printed.
    """
    logs.mkdir(parents=True, exist_ok=True)
    for step in steps:
        record = records.get(step.name)
        if record is None or record["command"] != step.command:
            record = {"name": step.name, "command": step.command, "attempts": []}
            records[step.name] = record
        if record.get("exit") == 0:
            say(f"{step.name}: done before, {record['seconds']:.1f} s")
            continue
        _run(step, record, logs / f"{step.name}.txt")
        yield record
        if record["exit"] != 0:
            raise ValueError(
                f"{step.command}: exit code {record['exit']}; what it printed is in "
                f"{logs / step.name}.txt. The same job continues with this command"
            )


def _run(step: Step, record: dict, log: Path) -> None:
    """Run a command and note its time and memory, also if it is stopped."""
    began, attempt = time.monotonic(), {"seconds": 0.0, "exit": None}
    record["attempts"].append(attempt)
    measured = log.with_suffix(".memory")
    words = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(measured), *step.words]
    with open(log, "ab") as file:
        start = file.tell()
        process = subprocess.Popen(
            words, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            attempt["exit"] = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
        finally:
            attempt["seconds"] = time.monotonic() - began
    printed = log.read_bytes()[start:].decode(errors="replace")
    record |= {
        "exit": attempt["exit"],
        "seconds": sum(found["seconds"] for found in record["attempts"]),
        "host_bytes": int(measured.read_text()) * UNIT,
        "device_bytes": None,
        "compiled": None,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "code": code_digest(),
    }
    if found := DEVICE.search(printed):
        record["device_bytes"] = float(found[1]) * 1e9
    if found := COMPILED.search(printed):
        names = ("programs", "seconds", "hits")
        record["compiled"] = dict(zip(names, map(float, found.groups()), strict=True))


def line(record: dict) -> str:
    """Return a step that was done as a line."""
    device = record["device_bytes"]
    parts = [f"{record['seconds']:.1f} s", f"host {record['host_bytes'] / 1e9:.2f} GB"]
    parts += [f"device {device / 1e9:.2f} GB"] if device is not None else []
    if compiled := record["compiled"]:
        parts.append(f"{compiled['programs']:.0f} programs compiled in {compiled['seconds']} s")
    return f"{record['name']}: {', '.join(parts)}"
