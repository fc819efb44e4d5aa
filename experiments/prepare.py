"""Write a benchmark as a TFDS dataset below --data_dir (default: config.benchmark.data_dir)."""

import sys

from absl import flags

from experiments.common import get_config, run
from mllm.benchmarks import get_benchmark

DATA_DIR = flags.DEFINE_string("data_dir", None, "root of the TFDS datasets")


def prepare(config):
    """The benchmark of a configuration, written unless it is there."""
    chosen = config.benchmark
    return get_benchmark(chosen.name).prepare(
        chosen.data_dir,
        chosen.config,
        seed=chosen.seed,
        published_dir=chosen.published_dir or None,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )


def main(_):
    config = get_config()
    if DATA_DIR.value:
        config.benchmark.data_dir = DATA_DIR.value
    benchmark = prepare(config)
    print(f"{benchmark.folder}: fingerprint {benchmark.fingerprint}")
    for split in benchmark.splits:
        profiles = benchmark.profiles(split)
        questions = sum(len(p.questions) for p in profiles)
        pairs = sum(len(p.training) for p in profiles)
        print(
            f"  {split:<11} {len(profiles):5} rows {questions:6} questions {pairs:6} training pairs"
        )


if __name__ == "__main__":
    run(main)
