"""Write the report of a workdir: results.json, report.html, .md, .csv, .tex."""

from pathlib import Path

from experiments.common import define_workdir, run
from mllm.parallel.launch import is_first
from mllm.reporting import print_table, write_report

WORKDIR = define_workdir("folder whose runs are reported")


def main(_):
    workdir = Path(WORKDIR.value)
    if not is_first():
        return
    paths = write_report(workdir)
    print_table(workdir)
    for kind, path in paths.items():
        print(f"{kind}: {path}")


if __name__ == "__main__":
    run(main)
