"""Write a Hugging Face folder of random weights in the sizes of a file of configs/bench.

python -m experiments.bench.random_model --config configs/bench/llava7b.py --to runs/random
"""

from experiments.bench.weights import on_device
from experiments.common import DRY_RUN, define_path, get_config, note, run, say
from experiments.planning import end_of_plan, planned_data
from mllm.benchmarks import get_benchmark
from mllm.checkpoints.hf_folder import is_hf_folder, write_folder
from mllm.parallel.mesh import one_device
from mllm.studies.start import prepare

TO = define_path("to", "folder to write, which must be new", required=True)


def main(_):
    config, folder = get_config(), TO.value
    if DRY_RUN.value:
        planned_data(config, made=True)
        say(f"writes {folder}")
        end_of_plan()
        return
    if is_hf_folder(folder):
        say(f"{folder}: is there")
        return
    benchmark = prepare(get_benchmark(config.benchmark.name), config, note)
    write_folder(folder, on_device(config, benchmark, one_device()))
    say(f"wrote {folder}")


if __name__ == "__main__":
    run(main)
