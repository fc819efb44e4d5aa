"""Train the models that a study's methods start from and are compared with, each into a folder of
--workdir.
"""

from experiments.common import define_workdir, get_config, run, say
from mllm.benchmarks import get_benchmark
from mllm.studies.lock import hold
from mllm.studies.stage import before_methods
from mllm.studies.train import ensure

WORKDIR = define_workdir("folder of the study")


def main(_):
    config, workdir = get_config(), WORKDIR.value
    system = get_benchmark(config.benchmark.name)
    benchmark = system.open_benchmark(config)
    with hold(workdir):
        for name in before_methods(system.stages(config)):
            run = ensure(name, config, workdir, system, benchmark)
            say(f"{run.folder}: {run.record()['checkpoint_digest'][:12]}")


if __name__ == "__main__":
    run(main)
