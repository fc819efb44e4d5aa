"""Train the method --config.objective.name of a study, into --workdir; the models that it starts
from are in folders next to it.
"""

from experiments.common import DRY_RUN, define_workdir, get_config, run, say
from experiments.planning import announce, end_of_plan, planned_data, show_runs
from mllm.benchmarks import get_benchmark
from mllm.registry import lookup
from mllm.studies.plan import Plan
from mllm.studies.train import ensure

WORKDIR = define_workdir("folder of this run; the runs that it starts from are next to it")


def main(_):
    config, folder = get_config(), WORKDIR.value
    system, name = get_benchmark(config.benchmark.name), config.objective.name
    methods = {k: stage for k, stage in system.stages(config).items() if stage.method}
    lookup(methods, name, "method (config.objective.name)")
    if DRY_RUN.value:
        benchmark = planned_data(config)
        plan = Plan(system, benchmark)
        plan.add(name, config, folder.parent, folder=folder)
        show_runs(plan, [folder.parent], benchmark)
        end_of_plan()
        return
    benchmark = system.open_benchmark(config)
    plan = Plan(system, benchmark)
    plan.add(name, config, folder.parent, folder=folder)
    announce(plan)
    run = ensure(name, config, folder.parent, system, benchmark, folder=folder)
    say(f"{run.folder}: {run.record()['checkpoint_digest'][:12]}")


if __name__ == "__main__":
    run(main)
