"""Train the runs of a sweep one by one and as one program, and print how long each took.

    python -m experiments.bench.together --config FILE --workdir runs/alike

Nothing is evaluated, and what the runs start from is not counted. A run that is there is not made
again, so each measurement takes a new --workdir.
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from experiments.common import DRY_RUN, config_path, define_workdir, get_config, note, run, say
from experiments.planning import end_of_plan
from mllm.benchmarks import get_benchmark
from mllm.checkpoints.folder import load_model
from mllm.studies.run import Run
from mllm.studies.start import prepare
from mllm.studies.sweep import configurations, overrides_of
from mllm.studies.together import ensure_together
from mllm.studies.train import ensure

WORKDIR = define_workdir("folder of the runs, which are trained twice")
PARTS = APART, TOGETHER = "apart", "together"


def main(_):
    config, workdir = get_config(), WORKDIR.value
    system, runs = get_benchmark(config.benchmark.name), overrides_of(config, config_path())
    if DRY_RUN.value:
        say(f"trains {len(runs)} runs into {workdir / APART} and again into {workdir / TOGETHER}")
        end_of_plan()
        return
    benchmark = prepare(system, config, note)
    chosen = list(configurations(config, runs))
    for one in chosen:
        one.together = len(chosen)
        for parent in system.stages(one)[one.objective.name].parents:
            ensure(parent, one, workdir / APART, system, benchmark)
    shutil.copytree(workdir / APART, workdir / TOGETHER)
    made = {part: train(part, chosen, workdir / part, system, benchmark) for part in PARTS}
    apart, together = (np.concatenate(list(map(adapter, made[part]))) for part in PARTS)
    say(f"largest weight of an adapter: {np.abs(apart).max():.3g}")
    say(f"largest difference between the two: {np.abs(apart - together).max():.3g}")


def train(part: str, chosen: Sequence, folder: Path, system, benchmark) -> list[Run]:
    """Make all runs below a folder, and print what that took."""
    began, busy, made = time.monotonic(), time.process_time(), []
    for number, one in enumerate(chosen):
        if part == TOGETHER:
            following = chosen[number:]
            ensure_together(following, [folder] * len(following), system, benchmark)
        made.append(ensure(one.objective.name, one, folder, system, benchmark))
    seconds, busy = time.monotonic() - began, time.process_time() - busy
    costs = [one.record()["cost"] for one in made]
    steps = sum(cost["seconds"] for cost in costs)
    compiling = sum(cost["compile"]["seconds"] for cost in costs)
    count, updates = len(made), sum(cost["steps"] for cost in costs)
    say(
        f"{part}: {count} runs, {updates} updates in {seconds:.1f} s ({busy:.1f} s of processor "
        f"time), {steps:.1f} s of them in steps and {compiling:.1f} s in compiling"
    )
    return made


def adapter(made: Run) -> np.ndarray:
    """Return all numbers of a run's adapter."""
    leaves = jax.tree.leaves(load_model(made.folder).variables["lora"])
    return np.concatenate([np.asarray(leaf).ravel() for leaf in leaves])


if __name__ == "__main__":
    run(main)
