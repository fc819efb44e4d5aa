"""Teach the base, vanilla and retain-only models of a study: folders base, vanilla, retain_only_N
of --workdir.
"""

from pathlib import Path

from experiments import stages, study
from experiments.common import define_workdir, get_config, run, say

WORKDIR = define_workdir("folder of the study")


def main(_):
    config, workdir = get_config(), Path(WORKDIR.value)
    benchmark = stages.open_benchmark(config)
    for method in ("base", "vanilla", "retain_only"):
        run = study.ensure(method, config, workdir, benchmark)
        say(f"{run.folder}: {run.record()['checkpoint_digest'][:12]}")


if __name__ == "__main__":
    run(main)
