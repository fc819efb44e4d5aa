"""Train, evaluate and report every run that the config file's sweep() yields, in order; what is
finished is skipped. Before that, run the trials that its trials() yields, on validation data, and
take the values that they choose.
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
from mllm.evaluation.ledger import LEDGER, Ledger
from mllm.parallel.launch import is_first
from mllm.reporting import collect, print_table, write_report
from mllm.studies.lock import InUse, hold, hold_when_free
from mllm.studies.plan import Plan
from mllm.studies.start import prepare
from mllm.studies.sweep import configurations, overrides_of, run_all, study_folder, trials_of
from mllm.studies.tuning import FOLDER, known_choice, refuse_tuning, runs_of_tuning, tune

WORKDIR = define_workdir("folder of the sweep")


def main(_):
    config, workdir, path = get_config(), WORKDIR.value, config_path()
    system, trials = get_benchmark(config.benchmark.name), trials_of(config, path)
    refuse_tuning(config)
    tuning = runs_of_tuning(config, trials, system)
    overrides_of(config, path)  # a mistake in it is found before the trials
    if DRY_RUN.value:
        dry_run(config, trials, workdir, system)
        return
    with hold_when_free(workdir):
        benchmark = prepare(system, config, note)
    if trials:
        announce(plan_of(config, tuning, workdir / FOLDER, system, benchmark)[0])
        ledger = tune(config, trials, workdir, system, benchmark, note)
        for line in choice(ledger):
            note(line)
        config.update_from_flattened_dict(ledger.values)
    runs = overrides_of(config, path)
    announce(plan_of(config, runs, workdir, system, benchmark)[0])
    run_all(config, runs, workdir, system, benchmark, note)
    try:
        with hold(workdir):
            report_on(config, workdir)
    except InUse:
        note(f"{workdir}: another command is writing the report")


def report_on(config, workdir: Path) -> None:
    """Write the report of all runs, and print its table."""
    if is_first():
        report = get_report(config.benchmark.name)
        note("writing the report")
        found = collect(workdir, report.layout)
        paths = write_report(workdir, report, found)
        print_table(workdir, report, found)
        print(f"report: {paths['html']}")


def plan_of(config, runs, workdir: Path, system, benchmark) -> tuple[Plan, dict]:
    """Return the plan of all runs, and what is evaluated: [(run, its configuration)] by folder."""
    plan, evaluated = Plan(system, benchmark), {}
    for chosen in configurations(config, runs):
        planned = plan.add(chosen.objective.name, chosen, study_folder(workdir, chosen))
        evaluated.setdefault(planned.run.folder, []).append((planned, chosen))
    return plan, evaluated


def choice(ledger: Ledger) -> list[str]:
    """Return a line about each method: how often it was tried, and what was chosen."""
    return [
        f"{name}: {len(one.trials)} trials, chosen is {dict(one.values)}"
        for name, one in ledger.methods.items()
    ]


def dry_run(config, trials, workdir: Path, system) -> None:
    """Print the plan: the trials, if there are any, then the runs with the values that they choose,
    or with those of the file while that is not known.
    """
    benchmark = planned_data(config, made=True)
    if trials:
        tuning = runs_of_tuning(config, trials, system)
        say(f"{len(tuning)} runs of tuning, on validation data alone:")
        show(config, tuning, workdir / FOLDER, system, benchmark, workdir)
        if ledger := known_choice(config, trials, workdir, system):
            say(f"{workdir / LEDGER} holds their choice:")
            for line in choice(ledger):
                say(f"  {line}")
            config.update_from_flattened_dict(ledger.values)
        else:
            say(f"the choice is written to {workdir / LEDGER}; the runs below show the file's own")
    runs = overrides_of(config, config_path())
    show(config, runs, workdir, system, benchmark, workdir)
    say(f"each evaluation writes {EVALUATION_FILES}")
    say(f"the report is {workdir}/: {REPORT_FILES}")
    end_of_plan()


def show(config, runs, folder: Path, system, benchmark, workdir: Path) -> None:
    """Print the plan of runs in a folder, with times of what has ended below the workdir."""
    plan, evaluated = plan_of(config, runs, folder, system, benchmark)
    studies = [*sorted(workdir.glob("seed*")), *sorted((workdir / FOLDER).glob("seed*"))]
    estimates = show_runs(plan, studies, benchmark)
    for number, place in enumerate(plan.runs, 1):
        for planned, chosen in evaluated.get(place, []):
            show_evaluation(number, planned, chosen, estimates)


if __name__ == "__main__":
    run(main)
