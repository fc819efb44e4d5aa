"""Train the models that a study's methods start from and are compared with, each into a folder of
--workdir.
"""

from pathlib import Path

from experiments.common import DRY_RUN, define_workdir, get_config, run, say
from experiments.planning import announce, end_of_plan, planned_data, show_runs
from mllm.benchmarks import get_benchmark
from mllm.studies.lock import hold
from mllm.studies.plan import Plan
from mllm.studies.stage import before_methods
from mllm.studies.train import ensure

WORKDIR = define_workdir("folder of the study")


def main(_):
    config, workdir = get_config(), WORKDIR.value
    system = get_benchmark(config.benchmark.name)
    names = before_methods(system.stages(config))
    if DRY_RUN.value:
        dry_run(system, config, workdir, names)
        return
    benchmark = system.open_benchmark(config)
    announce(plan_of(system, benchmark, config, workdir, names))
    with hold(workdir):
        for name in names:
            run = ensure(name, config, workdir, system, benchmark)
            say(f"{run.folder}: {run.record()['checkpoint_digest'][:12]}")


def plan_of(system, benchmark, config, workdir: Path, names: list[str]) -> Plan:
    """Return the plan of all stages before the methods."""
    plan = Plan(system, benchmark)
    for name in names:
        plan.add(name, config, workdir)
    return plan


def dry_run(system, config, workdir: Path, names: list[str]) -> None:
    """Print the plan."""
    benchmark = planned_data(config)
    if not names:
        say("no stage comes before the methods: there is nothing to do")
    show_runs(plan_of(system, benchmark, config, workdir, names), [workdir], benchmark)
    end_of_plan()


if __name__ == "__main__":
    run(main)
