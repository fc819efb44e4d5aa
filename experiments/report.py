"""Write the report of a workdir: results.json, report.html, .md, .csv, .tex."""

from experiments.common import DRY_RUN, define_workdir, note, run, say
from experiments.planning import REPORT_FILES, end_of_plan
from mllm.benchmarks import get_report
from mllm.parallel.launch import is_first
from mllm.reporting import benchmark_name, print_table, write_report
from mllm.reporting.collect import collect

WORKDIR = define_workdir("folder whose runs are reported")


def main(_):
    workdir = WORKDIR.value
    if not is_first():
        return
    report = get_report(benchmark_name(workdir))
    if DRY_RUN.value:
        found = collect(workdir, report.layout)
        say(f"{len(found.runs)} runs to report, {len(found.problems)} left out")
        for problem in found.problems:
            say(f"  left out: {problem.name}: {problem.reason}")
        say(f"the report is {workdir}/: {REPORT_FILES}")
        end_of_plan()
        return
    note("writing the report")
    paths = write_report(workdir, report)
    print_table(workdir, report)
    for kind, path in paths.items():
        print(f"{kind}: {path}")


if __name__ == "__main__":
    run(main)
