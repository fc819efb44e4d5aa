"""Do a whole job by the commands that a user types, and record the time and memory of each.

    python -m experiments.bench.job --config configs/NAME/tiny.py --workdir runs/job
    python -m experiments.bench.job --config configs/NAME/llava7b.py --workdir runs/job7b \
        --random configs/bench/llava7b.py

The commands are prepare, finetune, unlearn (the method --config.objective.name), evaluate and
convert; each runs in a process of its own, and what it prints goes to a file of --workdir. A job
that was stopped continues with the command that was not finished.
"""

import json
import subprocess
import sys

from experiments.bench.steps import config_flags, do, line, steps_of
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


def _environment() -> dict:
    """Return versions and device, found in a process of its own: this one must not hold a device
    that the commands need.
    """
    code = (
        "import json; from mllm.studies.environment import environment as e; print(json.dumps(e()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    run(main)
