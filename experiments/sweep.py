"""Train, evaluate and report every run that the config file's sweep() yields, in order; what is
finished is skipped.
"""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
from ml_collections import ConfigDict

from experiments.common import config_path, define_workdir, get_config, run, say
from experiments.prepare import prepare
from mllm.benchmarks import get_benchmark, get_report
from mllm.parallel.launch import is_first
from mllm.reporting import print_table, write_report
from mllm.studies.evaluate import evaluate
from mllm.studies.train import ensure

WORKDIR = define_workdir("folder of the sweep")


def overrides_of(config: ConfigDict, path: Path) -> list[dict]:
    """What ``sweep(config)`` of a config file yields.

    Raises:
      ValueError: the file has no sweep().
    """
    spec = importlib.util.spec_from_file_location("sweep_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "sweep"):
        raise ValueError(
            f"{path}: has no function sweep(config), expected one that yields overrides"
        )
    return list(module.sweep(config))


def beside_training() -> bool:
    """Whether a finished run is evaluated in a thread while the next one trains: on a CPU neither
    keeps all cores busy. An accelerator holds one model at a time, and several processes must run
    their programs in the same order.
    """
    return jax.default_backend() == "cpu" and jax.process_count() == 1


def main(_):
    config, workdir = get_config(), Path(WORKDIR.value)
    system, benchmark = get_benchmark(config.benchmark.name), prepare(config)
    runs, evaluations = overrides_of(config, config_path()), []
    with ThreadPoolExecutor(1) as evaluator:
        for number, overrides in enumerate(runs, 1):
            chosen = config.copy_and_resolve_references()
            chosen.update_from_flattened_dict(overrides)
            name = chosen.objective.name
            say(f"[{number}/{len(runs)}] {name} {overrides}", file=sys.stderr)
            run = ensure(name, chosen, workdir / f"seed{chosen.seed}", system, benchmark)
            evaluations.append(evaluator.submit(evaluate, run, chosen, system, benchmark))
            for evaluation in evaluations:
                if evaluation.done() or not beside_training():
                    evaluation.result()  # raises what went wrong, before another run is trained
        for evaluation in evaluations:
            evaluation.result()
    if is_first():
        report = get_report(config.benchmark.name)
        paths = write_report(workdir, report)
        print_table(workdir, report)
        print(f"report: {paths['html']}")


if __name__ == "__main__":
    run(main)
