"""Train and evaluate many runs, each a configuration with some of its values changed."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from mllm.paths import expand_paths
from mllm.studies.evaluate import Evaluated, evaluate, measure_efficiency
from mllm.studies.lock import InUse, hold_when_free, wait_for_one_of
from mllm.studies.run import Run
from mllm.studies.system import System
from mllm.studies.together import ensure_together
from mllm.studies.train import ensure
from mllm.training.diverged import Diverged

Overrides = dict[str, Any]


def overrides_of(config: ConfigDict, path: Path) -> list[Overrides]:
    """Return what ``sweep(config)`` of a configuration file yields.

    Raises:
      ValueError: the file has no function of that name.
    """
    found = _yielded(config, path, "sweep")
    if found is None:
        raise ValueError(
            f"{path}: has no function sweep(config), expected one that yields overrides"
        )
    return found


def trials_of(config: ConfigDict, path: Path) -> list[Overrides]:
    """Return what ``trials(config)`` of a configuration file yields, [] without that function."""
    return _yielded(config, path, "trials") or []


def _yielded(config: ConfigDict, path: Path, name: str) -> list[Overrides] | None:
    """Return the overrides that a function of a configuration file yields, None without it."""
    spec = importlib.util.spec_from_file_location("sweep_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        return None
    return [{**run, **expand_paths(run)} for run in getattr(module, name)(config)]


def configurations(config: ConfigDict, runs: Sequence[Overrides]) -> Iterator[ConfigDict]:
    """Yield the configuration of each run."""
    for overrides in runs:
        chosen = config.copy_and_resolve_references()
        chosen.update_from_flattened_dict(overrides)
        yield chosen


def study_folder(workdir: Path, config: ConfigDict) -> Path:
    """Return the folder of the study that a run of a sweep belongs to."""
    return workdir / f"seed{config.seed}"


def run_all(
    config: ConfigDict,
    runs: Sequence[Overrides],
    workdir: Path,
    system: System,
    benchmark,
    progress: Callable[[str], None],
) -> list[Evaluated | Diverged]:
    """Train and evaluate runs in order; what is finished is skipped, and alike runs are trained
    together, at most ``config.together`` at once.

    Several commands may do this at the same time, on one machine or on several that share a disk:
    each takes the runs that no other one holds, and comes back to those when they are let go.

    Args:
      runs: dotted keys with their values; ``objective.name`` names the stage.
      workdir: holds a study for each seed.
      progress: called with a line about each run.

    Returns:
      the evaluation of each run, or why it has none: the run, or one that it needs, diverged.
    """
    configs = list(configurations(config, runs))
    folders = [study_folder(workdir, chosen) for chosen in configs]
    ready: dict[int, Run] = {}
    evaluations: dict[int, Future[Evaluated]] = {}
    found: dict[int, Evaluated | Diverged] = {}
    held: dict[int, Path] = {}  # what another command holds of a run
    told: set[int] = set()  # that their turn has come

    def collect(*, wait: bool) -> None:
        """Take in evaluations that have ended; raise what went wrong before more is trained."""
        for number in [n for n, one in evaluations.items() if wait or one.done()]:
            try:
                found[number] = evaluations.pop(number).result()
            except InUse as other:
                held[number] = other.folder

    evaluator = ThreadPoolExecutor(1)
    try:
        while left := [n for n in range(len(runs)) if n not in found]:
            if held:
                progress(f"{len(held)} runs wait for what other commands are at")
                free = wait_for_one_of(set(held.values()))
                left = [number for number in left if held.get(number) == free]
            for number in left:
                held.pop(number, None)
                chosen, name = configs[number], configs[number].objective.name
                if number not in told:
                    progress(f"[{number + 1}/{len(runs)}] {name} {runs[number]}")
                    told.add(number)
                try:
                    ensure_together(configs[number:], folders[number:], system, benchmark)
                    ready[number] = ensure(name, chosen, folders[number], system, benchmark)
                except InUse as other:
                    held[number] = other.folder
                    continue
                except Diverged as error:
                    progress(f"{name} is passed over. {error}")
                    found[number] = error
                    continue
                job = (ready[number], chosen, system, benchmark)
                evaluations[number] = evaluator.submit(evaluate, *job)
                collect(wait=not evaluates_while_training())
            collect(wait=True)
    except BaseException as error:
        # After a mistake, the evaluation that runs ends well; Ctrl-C waits for nothing.
        evaluator.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    evaluator.shutdown()
    if config.evaluation.efficiency:
        with hold_when_free(workdir):
            for number, run in ready.items():
                folder = found[number].folder
                measure_efficiency(run, folder, configs[number], system, benchmark)
    return [found[number] for number in range(len(runs))]


def evaluates_while_training() -> bool:
    """Return whether a finished run is evaluated in a thread while the next one trains.

    On a CPU neither keeps all cores busy. An accelerator holds one model at a time, and several
    processes must run their programs in the same order.
    """
    return jax.default_backend() == "cpu" and jax.process_count() == 1
