"""Write a benchmark as a TFDS dataset below --data_dir (default: config.benchmark.data_dir).

With --export_parquet also as parquet folders in the published layout.
"""

import sys

from absl import flags

from experiments.common import get_config, run, say
from mllm.benchmarks import get_benchmark
from mllm.parallel.launch import in_turn, is_first

DATA_DIR = flags.DEFINE_string("data_dir", None, "root of the TFDS datasets")
EXPORT = flags.DEFINE_string("export_parquet", None, "folder for the published parquet layout")


def prepare(config):
    """Return the benchmark of a configuration, written unless it is there.

    The first process goes first: on a disk that all share the others find what it wrote, each on a
    disk of its own writes the same bytes.
    """
    with in_turn("prepare"):
        return get_benchmark(config.benchmark.name).prepare(config, _say)


def _say(line: str) -> None:
    say(line, file=sys.stderr)


def export(config, benchmark, folder: str) -> None:
    """Write the benchmark in its published layout.

    Raises:
      ValueError: this benchmark has none, or the folder holds something else.
    """
    system = get_benchmark(config.benchmark.name)
    if not hasattr(system, "export_published"):
        raise ValueError(f"--export_parquet: {config.benchmark.name} has no published layout")
    if is_first():
        print(f"published layout: {system.export_published(benchmark, folder, progress=_say)}")


def main(_):
    config = get_config()
    if DATA_DIR.value:
        config.benchmark.data_dir = DATA_DIR.value
    benchmark = prepare(config)
    say(f"{benchmark.folder}: fingerprint {benchmark.fingerprint}")
    for line in get_benchmark(config.benchmark.name).summary(benchmark):
        say(f"  {line}")
    if EXPORT.value:
        export(config, benchmark, EXPORT.value)


if __name__ == "__main__":
    run(main)
