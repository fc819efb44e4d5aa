"""Write a benchmark as a TFDS dataset below --data_dir (default: config.benchmark.data_dir).

--export_parquet also writes parquet folders in the published layout.
"""

from pathlib import Path

from experiments.common import DRY_RUN, define_path, get_config, note, run, say
from experiments.planning import end_of_plan, planned_data
from mllm.benchmarks import get_benchmark
from mllm.parallel.launch import is_first
from mllm.studies.start import prepare

DATA_DIR = define_path("data_dir", "root of the TFDS datasets")
EXPORT = define_path("export_parquet", "folder to write the published parquet layout to")


def export(system, config, benchmark, folder: Path) -> None:
    """Write the benchmark in its published layout.

    Raises:
      ValueError: this benchmark has none, or the folder holds something else.
    """
    if not hasattr(system, "export_published"):
        raise ValueError(f"--export_parquet: {config.benchmark.name} has no published layout")
    if is_first():
        print(f"published layout: {system.export_published(benchmark, folder, progress=note)}")


def main(_):
    config = get_config()
    system = get_benchmark(config.benchmark.name)
    if DATA_DIR.value:
        config.benchmark.data_dir = str(DATA_DIR.value)
    if DRY_RUN.value:
        benchmark = planned_data(config, made=True)
        for line in [] if benchmark is None else system.summary(benchmark):
            say(f"  {line}")
        if EXPORT.value:
            say(f"published layout: {EXPORT.value}/")
        end_of_plan()
        return
    benchmark = prepare(system, config, note)
    say(f"{benchmark.folder}: fingerprint {benchmark.fingerprint}")
    for line in system.summary(benchmark):
        say(f"  {line}")
    if EXPORT.value:
        export(system, config, benchmark, EXPORT.value)


if __name__ == "__main__":
    run(main)
