"""Do a whole job by the commands that a user types, and record the time and memory of each.

    python -m experiments.bench.job --config configs/NAME/tiny.py --workdir runs/job
    python -m experiments.bench.job --config configs/NAME/llava7b.py --workdir runs/job7b \
        --random configs/bench/llava7b.py

The commands are prepare, finetune, unlearn (the method --config.objective.name), evaluate and
convert; each runs in a process of its own, and what it prints goes to a file of --workdir. A job
that was stopped continues with the command that was not finished.
"""

import json
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
from experiments.common import DRY_RUN, define_path, define_workdir, get_config, run, say
from experiments.planning import end_of_plan
from mllm.files import read_json, write_json
from mllm.studies.environment import command_line
from mllm.studies.lock import hold

WORKDIR = define_workdir("folder of the study")
OUT = define_path("out", "JSON file of the figures; default: job.json of --workdir")
RANDOM = define_path(
    "random", "a file of configs/bench: start from a model of its sizes with random weights"
)

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


def main(_):
    config, workdir = get_config(), WORKDIR.value
    given = [word for word in config_flags(sys.argv[1:]) if "objective.name" not in word]
    steps = steps_of(given, config, workdir, RANDOM.value)
    if DRY_RUN.value:
        for step in steps:
            say(f"{step.name}: {step.command}")
        end_of_plan()
        return
    out = OUT.value or workdir / "job.json"
    with hold(workdir / "job"):
        job = read_json(out) if out.is_file() else {"command": command_line(), "steps": {}}
        job["environment"] = _environment()
        try:
            for done in do(steps, job["steps"], workdir / "job"):
                write_json(out, job)
                say(line(done))
        finally:
            write_json(out, job)


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


def _environment() -> dict:
    """Return versions and device, found in a process of its own: this one must not hold a device
    that the commands need.
    """
    code = (
        "import json; from mllm.studies.environment import environment as e; print(json.dumps(e()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def line(record: dict) -> str:
    """Return a step that was done as a line."""
    device = record["device_bytes"]
    parts = [f"{record['seconds']:.1f} s", f"host {record['host_bytes'] / 1e9:.2f} GB"]
    parts += [f"device {device / 1e9:.2f} GB"] if device is not None else []
    if compiled := record["compiled"]:
        parts.append(f"{compiled['programs']:.0f} programs compiled in {compiled['seconds']} s")
    return f"{record['name']}: {', '.join(parts)}"


if __name__ == "__main__":
    run(main)
