"""Train, evaluate and report every run that the config file's sweep() yields, in order; what is
finished is skipped.
"""

from experiments.common import config_path, define_workdir, get_config, note, run
from mllm.benchmarks import get_benchmark, get_report
from mllm.parallel.launch import is_first
from mllm.reporting import print_table, write_report
from mllm.studies.lock import hold
from mllm.studies.start import prepare
from mllm.studies.sweep import overrides_of, run_all

WORKDIR = define_workdir("folder of the sweep")


def main(_):
    config, workdir = get_config(), WORKDIR.value
    system, runs = get_benchmark(config.benchmark.name), overrides_of(config, config_path())
    with hold(workdir):
        run_all(config, runs, workdir, system, prepare(system, config, note), note)
        if is_first():
            report = get_report(config.benchmark.name)
            note("writing the report")
            paths = write_report(workdir, report)
            print_table(workdir, report)
            print(f"report: {paths['html']}")


if __name__ == "__main__":
    run(main)
