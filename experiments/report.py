"""Write the report of a workdir: results.json, report.html, .md, .csv, .tex.

With --against, write how another study of the same benchmark differs from it instead:
against_NAME.html, .md, .csv, .tex.
"""

from experiments.common import DRY_RUN, define_path, define_workdir, note, run, say
from experiments.planning import REPORT_FILES, end_of_plan
from mllm.benchmarks import get_report
from mllm.parallel.launch import is_first
from mllm.reporting import benchmark_name, print_table, write_comparison, write_report
from mllm.reporting.against import read_studies
from mllm.reporting.collect import collect

WORKDIR = define_workdir("folder whose runs are reported")
AGAINST = define_path(
    "against",
    "folder of another study: write how its rows differ from those of the workdir; refused where "
    "the two were evaluated under unlike conditions",
)


def main(_):
    workdir = WORKDIR.value
    if not is_first():
        return
    report = get_report(benchmark_name(workdir))
    if AGAINST.value is not None:
        compare(workdir, AGAINST.value, report)
        return
    if DRY_RUN.value:
        found = collect(workdir, report.layout)
        say(f"{len(found.runs)} runs to report, {len(found.problems)} left out")
        for problem in found.problems:
            say(f"  left out: {problem.name}: {problem.reason}")
        say(f"the report is {workdir}/: {REPORT_FILES}")
        end_of_plan()
        return
    note("writing the report")
    sweep = collect(workdir, report.layout)
    paths = write_report(workdir, report, sweep)
    print_table(workdir, report, sweep)
    for kind, path in paths.items():
        print(f"{kind}: {path}")


def compare(workdir, against, report) -> None:
    """Write and print how another study differs from that of the workdir."""
    if DRY_RUN.value:
        *_, pairings = read_studies(workdir, against, report.layout)
        say(f"{sum(len(one.pairs) for one in pairings)} rows of {against} against {workdir}")
        end_of_plan()
        return
    note("writing the comparison")
    paths, text = write_comparison(workdir, against, report)
    print(text, end="")
    for kind, path in paths.items():
        print(f"{kind}: {path}")


if __name__ == "__main__":
    run(main)
