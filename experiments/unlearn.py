"""Unlearn the forget split from the vanilla model beside --workdir by the method
--config.objective.name.
"""

from pathlib import Path

from experiments import stages, study
from experiments.common import define_workdir, get_config, run, say
from mllm.registry import lookup

WORKDIR = define_workdir("folder of this run; vanilla (and retain_only_N) are looked for beside it")


def main(_):
    config, folder = get_config(), Path(WORKDIR.value)
    lookup(config.methods, config.objective.name, "unlearning method (config.objective.name)")
    benchmark = stages.open_benchmark(config)
    run = study.ensure(config.objective.name, config, folder.parent, benchmark, folder=folder)
    say(f"{run.folder}: {run.record()['checkpoint_digest'][:12]}")


if __name__ == "__main__":
    run(main)
