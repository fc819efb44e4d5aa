"""Train, evaluate and report every run that the config file's sweep() yields, in order; what is
finished is skipped.
"""

from pathlib import Path

from experiments.common import DRY_RUN, config_path, define_workdir, get_config, note, run, say
from experiments.planning import (
    EVALUATION_FILES,
    REPORT_FILES,
    announce,
    end_of_plan,
    planned_data,
    show_evaluation,
    show_runs,
)
from mllm.benchmarks import get_benchmark, get_report
from mllm.parallel.launch import is_first
from mllm.reporting import print_table, write_report
from mllm.studies.lock import hold
from mllm.studies.plan import Plan
from mllm.studies.start import prepare
from mllm.studies.sweep import configurations, overrides_of, run_all, study_folder

WORKDIR = define_workdir("folder of the sweep")


def main(_):
    config, workdir = get_config(), WORKDIR.value
    system, runs = get_benchmark(config.benchmark.name), overrides_of(config, config_path())
    if DRY_RUN.value:
        dry_run(config, runs, workdir, system)
        return
    with hold(workdir):
        benchmark = prepare(system, config, note)
        announce(plan_of(config, runs, workdir, system, benchmark)[0])
        run_all(config, runs, workdir, system, benchmark, note)
        if is_first():
            report = get_report(config.benchmark.name)
            note("writing the report")
            paths = write_report(workdir, report)
            print_table(workdir, report)
            print(f"report: {paths['html']}")


def plan_of(config, runs, workdir: Path, system, benchmark) -> tuple[Plan, dict]:
    """Return the plan of all runs, and what is evaluated: [(run, its configuration)] by folder."""
    plan, evaluated = Plan(system, benchmark), {}
    for chosen in configurations(config, runs):
        planned = plan.add(chosen.objective.name, chosen, study_folder(workdir, chosen))
        evaluated.setdefault(planned.run.folder, []).append((planned, chosen))
    return plan, evaluated


def dry_run(config, runs, workdir: Path, system) -> None:
    """Print the plan."""
    benchmark = planned_data(config, made=True)
    plan, evaluated = plan_of(config, runs, workdir, system, benchmark)
    estimates = show_runs(plan, sorted(workdir.glob("seed*")), benchmark)
    for number, folder in enumerate(plan.runs, 1):
        for planned, chosen in evaluated.get(folder, []):
            show_evaluation(number, planned, chosen, estimates)
    say(f"each evaluation writes {EVALUATION_FILES}")
    say(f"the report is {workdir}/: {REPORT_FILES}")
    end_of_plan()


if __name__ == "__main__":
    run(main)
