"""Tuning before a sweep: trials on people that no table shows, then a choice for each method.

A configuration file with ``trials(config)`` yields overrides, as many for each method. Their runs
lie in the folder ``tuning`` of the sweep, a study of its own, in which the configuration asks for
validation data. What a trial is chosen by belongs to the system (``mllm.studies.trials``).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mllm.evaluation.ledger import Ledger, Trial, Tuned, best_of, read_ledger, write_ledger
from mllm.evaluation.places import without_options
from mllm.parallel.launch import is_first, wait_for_all
from mllm.studies.evaluate import Evaluated
from mllm.studies.sweep import Overrides, run_all
from mllm.studies.system import System
from mllm.studies.trials import Criterion, Values, by_method, runs_of
from mllm.training.diverged import Diverged

FOLDER = "tuning"


def criterion_of(system: System, config: ConfigDict) -> Criterion:
    """Return the criterion of a system.

    Raises:
      ValueError: it has none, so its configuration files cannot have trials.
    """
    found = getattr(system, "CRITERION", None)
    if found is None:
        raise ValueError(
            f"benchmark {config.benchmark.name!r} names no criterion to choose trials by, so a "
            "configuration file of it has no trials(config); remove that function"
        )
    return found


def refuse_tuning(config: ConfigDict) -> None:
    """Check that a sweep is not started while tuning.

    Raises:
      ValueError: ``config.tuning`` is on.
    """
    if config.get("tuning", False):
        raise ValueError(
            "config.tuning is True: a sweep ends with tables of reported data, which are refused "
            "while tuning. Write trials(config) into the configuration file, which the sweep runs "
            "on validation data first, or make single runs with experiments.unlearn and "
            "experiments.evaluate"
        )


def runs_of_tuning(
    config: ConfigDict, trials: Sequence[Overrides], system: System
) -> list[Overrides]:
    """Return the runs of tuning, in order; [] without trials.

    Raises:
      ValueError: the trials are not fair, or the system has no criterion.
    """
    if not trials:
        return []
    criterion = criterion_of(system, config)
    methods = by_method(trials, criterion.settings)
    return runs_of(methods, criterion.anchors, criterion.settings)


def known_choice(
    config: ConfigDict, trials: Sequence[Overrides], workdir: Path, system: System
) -> Ledger | None:
    """Return the ledger of a sweep if its trials are those of a list, else None."""
    held = read_ledger(workdir)
    asked = by_method(trials, criterion_of(system, config).settings)
    return held if held is not None and held.covers(asked) else None


def tune(
    config: ConfigDict,
    trials: Sequence[Overrides],
    workdir: Path,
    system: System,
    benchmark,
    progress: Callable[[str], None],
) -> Ledger:
    """Run all trials, choose one for each method and write the ledger; what is finished is skipped.

    Args:
      trials: see ``mllm.studies.trials.by_method``.
      workdir: folder of the sweep; the trials lie in its folder ``tuning``.
      progress: called with a line about each run.

    Raises:
      Diverged: a run that trials are compared with diverged.
      ValueError: the trials are not fair, all of one method diverged, or one was asked other
        questions than the rest.
    """
    criterion = criterion_of(system, config)
    methods, runs = by_method(trials, criterion.settings), runs_of_tuning(config, trials, system)
    quick = config.copy_and_resolve_references()
    quick.evaluation.efficiency = False
    evaluated = run_all(quick, runs, workdir / FOLDER, system, benchmark, progress)
    ledger = choose(criterion, methods, evaluated, system.AXES[0], benchmark.fingerprint)
    if is_first():
        write_ledger(workdir, ledger)
    wait_for_all("the ledger of tuning is written")
    return ledger


def choose(
    criterion: Criterion,
    methods: Mapping[str, Sequence[Values]],
    evaluated: Sequence[Evaluated | Diverged],
    axis: str,
    fingerprint: str,
) -> Ledger:
    """Return the ledger of evaluated runs, in the order of ``runs_of``.

    Args:
      axis: of the scores; the ledger says how many answers of each value of it were read.

    Raises:
      Diverged: a run that trials are compared with has no evaluation.
      ValueError: all trials of a method diverged, or one was asked other questions than the rest.
    """
    for one in evaluated[: len(criterion.anchors)]:
        if isinstance(one, Diverged):
            raise one
    entries = [one.entry for one in evaluated if not isinstance(one, Diverged)]
    anchors = dict(zip(criterion.anchors, entries, strict=False))
    scores = {name: _read(criterion, entry) for name, entry in anchors.items()}
    left = iter(evaluated[len(anchors) :])
    found = {}
    for name, values in methods.items():
        made = tuple(_trial(criterion, value, next(left), scores) for value in values)
        if all(trial.diverged for trial in made):
            reasons = "; ".join(f"{dict(trial.values)}: {trial.diverged}" for trial in made)
            raise ValueError(
                f"every trial of {name!r} diverged ({reasons}); let trials(config) yield smaller "
                "learning rates for it"
            )
        found[name] = Tuned(made, best_of([t.measured for t in made], criterion.decides))
    return Ledger(
        rule=criterion.rule,
        decides=criterion.decides,
        read=_counts(criterion, entries, axis),
        seed=entries[0]["seed"],
        protocol=without_options(entries[0]["protocol"]),
        data_fingerprint=fingerprint,
        anchors={name: entry["checkpoint_digest"] for name, entry in anchors.items()},
        methods=found,
    )


def _trial(
    criterion: Criterion,
    values: Values,
    one: Evaluated | Diverged,
    anchors: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Trial:
    if isinstance(one, Diverged):
        return Trial(dict(values), {}, "", one.why)
    measured = criterion.measure(_read(criterion, one.entry), anchors)
    return Trial(dict(values), dict(measured), one.entry["checkpoint_digest"])


def _read(criterion: Criterion, entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [score for score in entry["scores"] if criterion.reads(score)]


def _counts(criterion: Criterion, entries: Sequence[Mapping], axis: str) -> dict[str, int]:
    """Return how many answers of each value of an axis were read.

    Raises:
      ValueError: not the same of every run.
    """
    counts = []
    for entry in entries:
        found: dict[str, int] = {}
        for score in _read(criterion, entry):
            found[score[axis]] = found.get(score[axis], 0) + score["n"]
        counts.append(found)
    for entry, found in zip(entries, counts, strict=True):
        if found != counts[0]:
            raise ValueError(
                f"trials were asked different questions: {entry['method']} gives {found} answers "
                f"to read, {entries[0]['method']} {counts[0]}; delete the folder {FOLDER!r} of the "
                "sweep and start it again"
            )
    return counts[0]
