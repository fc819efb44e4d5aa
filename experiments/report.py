"""Write the report of a workdir: results.json, report.html, .md, .csv, .tex."""

from experiments.common import define_workdir, note, run
from mllm.benchmarks import get_report
from mllm.parallel.launch import is_first
from mllm.reporting import benchmark_name, print_table, write_report

WORKDIR = define_workdir("folder whose runs are reported")


def main(_):
    workdir = WORKDIR.value
    if not is_first():
        return
    report = get_report(benchmark_name(workdir))
    note("writing the report")
    paths = write_report(workdir, report)
    print_table(workdir, report)
    for kind, path in paths.items():
        print(f"{kind}: {path}")


if __name__ == "__main__":
    run(main)
