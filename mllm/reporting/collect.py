"""Reads a sweep folder: every `run.json` below it, with the scores and replies beside it."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

from mllm.evaluation.metrics import HEADLINE
from mllm.evaluation.scores import SETS
from mllm.files import read_json, read_jsonl

SCHEMA = 1
TASKS = tuple(HEADLINE)
MODALITIES = ("image_text", "text")
# Weights that a study starts from, as others published them: no run of its own, rarely evaluated.
PRETRAINED = "pretrained"
ANCHORS = (PRETRAINED, "base", "vanilla", "retain_only")
METHOD_LABELS = {
    PRETRAINED: "Pretrained",
    "base": "Base",
    "vanilla": "Vanilla",
    "retain_only": "Retain-only",
    "ga": "GA",
    "grad_diff": "GradDiff",
    "kl_min": "KL-Min",
    "npo": "NPO",
    "prompting": "Prompting",
}
_RUN_KEYS = {"schema": int, "method": str, "seed": int, "status": str}
_FINISHED_KEYS = {
    "protocol": str,
    "checkpoint_digest": str,
    "data_fingerprint": str,
    "config": dict,
    "cost": dict,
    "environment": dict,
}
_RATES = ("valid", "refusal", "invalid")
# Keys that differ between runs of one configuration and say nothing about the method.
_PLACE_KEYS = frozenset({"seed", "workdir", "data_dir", "checkpoint", "parent", "name", "variant"})


@dataclasses.dataclass(frozen=True)
class Run:
    """One checkpoint evaluated on one forget split.

    `scores` are the score objects of results.json, unchanged. A run folder of base or vanilla,
    which no forget split changes, gives one Run for each split it was evaluated on.
    """

    folder: Path
    name: str
    method: str
    seed: int
    forget: int | None
    protocol: str
    checkpoint_digest: str
    data_fingerprint: str
    benchmark: str
    parent: str | None
    command: str | None
    config: dict[str, Any]
    cost: dict[str, Any]
    environment: dict[str, Any]
    results_environment: dict[str, Any]
    scores: tuple[dict[str, Any], ...]
    variant: str = ""

    @property
    def replies_path(self) -> Path:
        """The raw replies of this forget split: in a folder of the split, or beside the results."""
        folder = self.folder / "eval" / self.protocol
        split = folder / f"forget_{self.forget}" / "replies.jsonl"
        return split if split.is_file() else folder / "replies.jsonl"


@dataclasses.dataclass(frozen=True)
class Problem:
    """A run that cannot be in the tables, and why."""

    name: str
    method: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Sweep:
    """All that was found below `workdir`; `runs` in the order of the tables.

    `weights` are finished runs that hold published weights and were not evaluated. `others` are
    the runs again under further protocols than their own; they stand in no table.
    """

    workdir: Path
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]
    weights: tuple[Run, ...] = ()
    others: tuple[Run, ...] = ()


def method_order(method: str) -> tuple[int, str]:
    """Sorts anchors first, then the published methods, then later ones by name."""
    known = list(METHOD_LABELS)
    return (known.index(method), "") if method in known else (len(known), method)


def read_metrics(run: Run) -> dict[str, tuple[list[float], list[float]]]:
    """Returns metric name -> (steps, values) of metrics.jsonl.

    A run that was killed writes the steps after its last checkpoint twice: the later line counts.
    Values that are not finite are left out.
    """
    by_step: dict[float, dict[str, Any]] = {}
    for row in read_jsonl(run.folder / "metrics.jsonl"):
        step = row.get("step")
        if _is_number(step):
            by_step.setdefault(step, {}).update(row)
    series: dict[str, tuple[list[float], list[float]]] = {}
    for step in sorted(by_step):
        for name, value in by_step[step].items():
            if name not in ("step", "time") and _is_number(value):
                steps, values = series.setdefault(name, ([], []))
                steps.append(float(step))
                values.append(float(value))
    return series


def collect(workdir: str | Path) -> Sweep:
    """Reads every run below `workdir`.

    Unfinished, unevaluated and unreadable runs become `Problem`s. Raises FileNotFoundError where
    no run.json exists, and ValueError naming the runs where finished runs differ in benchmark,
    data fingerprint or protocol: their numbers may not stand in one table.
    """
    workdir = Path(workdir)
    paths = _find_run_files(workdir)
    if not paths:
        raise FileNotFoundError(
            f"{workdir}: found no run.json below this folder, expected one a run; "
            "run experiments.sweep first, or name its --workdir"
        )
    runs, weights, others, problems = [], [], [], []
    for path in paths:
        name = path.parent.relative_to(workdir).as_posix()
        method = "unknown"
        try:
            record = read_json(path)
            method = str(record.get("method", method))
            _require_finished(record)
            results = path.parent / "eval" / record["protocol"] / "results.json"
            if method == PRETRAINED and not results.is_file():
                weights.append(_make_run(path.parent, name, record, {}, {}))
            else:
                runs += _read_results(path.parent, name, record, results)
            for further in sorted(set(path.parent.glob("eval/*/results.json")) - {results}):
                under = {**record, "protocol": further.parent.name}
                others += _read_results(path.parent, name, under, further)
        except (ValueError, OSError) as error:
            problems.append(Problem(name, method, str(error)))
    for key in ("benchmark", "data_fingerprint", "protocol"):
        _refuse_unlike(runs, key)
    runs = _name_variants(runs)
    for kind in (runs, others):
        kind.sort(
            key=lambda run: (method_order(run.method), run.variant, run.forget or 0, run.seed)
        )
    # Unevaluated weights have no benchmark and stand in no table, so nothing above is about them.
    return Sweep(workdir, tuple(runs), tuple(problems), tuple(weights), tuple(others))


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns dotted key -> leaf of a nested configuration."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _find_run_files(workdir: Path) -> list[Path]:
    found = []
    for folder, children, files in os.walk(workdir):
        children[:] = sorted(child for child in children if not child.startswith("."))
        if "run.json" in files:
            found.append(Path(folder) / "run.json")
    return sorted(found)


def _require(record: dict[str, Any], keys: dict[str, type], file: str) -> None:
    for key, kind in keys.items():
        if not isinstance(record.get(key), kind) or isinstance(record.get(key), bool):
            found = type(record[key]).__name__ if key in record else "nothing"
            raise ValueError(f"{file}: key {key!r} is {found}, expected {kind.__name__}")
    if record["schema"] != SCHEMA:
        raise ValueError(f"{file}: schema is {record['schema']}, expected {SCHEMA}")


def _require_finished(record: dict[str, Any]) -> None:
    _require(record, _RUN_KEYS, "run.json")
    if record["status"] != "finished":
        raise ValueError(f"unfinished: its status is {record['status']!r}; start the sweep again")
    _require(record, {**_RUN_KEYS, **_FINISHED_KEYS}, "run.json")


def _read_results(folder: Path, name: str, record: dict[str, Any], path: Path) -> list[Run]:
    if not path.is_file():
        raise ValueError(
            f"not evaluated: eval/{record['protocol']}/results.json is missing; "
            "run experiments.evaluate on this run"
        )
    results = read_json(path)
    _require(results, {"schema": int, "benchmark": str, "runs": list}, "results.json")
    if not results["runs"]:
        raise ValueError("results.json: 'runs' is empty, expected one entry a forget split")
    for entry in results["runs"]:
        _check_entry(record, entry)
    return [_make_run(folder, name, record, results, entry) for entry in results["runs"]]


def _check_entry(record: dict[str, Any], entry: dict[str, Any]) -> None:
    for key in ("method", "seed", "checkpoint_digest", "protocol"):
        if entry.get(key) != record[key]:
            raise ValueError(
                f"results.json: {key} is {entry.get(key)!r}, expected {record[key]!r} as in "
                "run.json; the scores belong to another checkpoint, evaluate this run again"
            )
    for position, score in enumerate(entry.get("scores") or ()):
        _check_score(score, f"results.json: score {position}")


def _make_run(folder, name, record, results, entry) -> Run:
    return Run(
        folder=folder,
        name=name,
        method=record["method"],
        seed=record["seed"],
        forget=entry.get("forget", record.get("forget")),
        protocol=record["protocol"],
        checkpoint_digest=record["checkpoint_digest"],
        data_fingerprint=record["data_fingerprint"],
        benchmark=results.get("benchmark", ""),
        parent=record.get("parent"),
        command=record.get("command"),
        config=record["config"],
        cost={**record["cost"], **(entry.get("cost") or {})},
        environment=record["environment"],
        results_environment=results.get("environment") or {},
        scores=tuple(entry.get("scores") or ()),
    )


def _check_score(score: Any, where: str) -> None:
    if not isinstance(score, dict):
        raise ValueError(f"{where} is {type(score).__name__}, expected an object")
    for key, known in (("set", SETS), ("task", TASKS), ("modality", MODALITIES)):
        if score.get(key) not in known:
            raise ValueError(f"{where}: {key} is {score.get(key)!r}, expected one of {known}")
    if not isinstance(score.get("metric"), str):
        raise ValueError(f"{where}: metric is {score.get('metric')!r}, expected a name")
    for key in ("n", *_RATES):
        if not _is_number(score.get(key)):
            raise ValueError(f"{where}: {key} is {score.get(key)!r}, expected a finite number")
    # Null says that nothing was scored (every reply an error), or one profile and no interval.
    if not _is_number_or_null(score.get("value", "nothing")):
        raise ValueError(f"{where}: value is {score.get('value')!r}, expected a finite number")
    interval = score.get("ci95")
    pair = isinstance(interval, list) and len(interval) == 2
    if not pair or not all(map(_is_number_or_null, interval)):
        raise ValueError(f"{where}: ci95 is {interval!r}, expected [low, high]")


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _is_number_or_null(value: Any) -> bool:
    return value is None or _is_number(value)


def _refuse_unlike(runs: list[Run], key: str) -> None:
    names = defaultdict(list)
    for run in runs:
        names[getattr(run, key)].append(run.name)
    if len(names) > 1:
        found = "; ".join(f"{value}: {', '.join(who)}" for value, who in sorted(names.items()))
        raise ValueError(
            f"runs with different {key} cannot stand in one table ({found}); "
            "move one kind to its own folder and report each folder by itself"
        )


def _name_variants(runs: list[Run]) -> list[Run]:
    """Tells runs of one method and seed apart by the settings in which they differ."""
    by_method = defaultdict(list)
    for run in runs:
        by_method[run.method, run.forget].append(run)
    named = []
    for group in by_method.values():
        if len({run.seed for run in group}) == len(group):
            named += group
            continue
        configs = [flatten(run.config) for run in group]
        keys = sorted(
            key
            for key in set().union(*configs)
            if key.rsplit(".", 1)[-1] not in _PLACE_KEYS
            and len({repr(config.get(key)) for config in configs}) > 1
        )
        seen: dict[tuple[str, int], str] = {}
        for run, config in zip(group, configs, strict=True):
            variant = ", ".join(f"{key.rsplit('.', 1)[-1]}={config.get(key)}" for key in keys)
            other = seen.setdefault((variant, run.seed), run.name)
            if other != run.name:
                raise ValueError(
                    f"runs {other} and {run.name} have the same method ({run.method}), seed "
                    f"({run.seed}), forget split and config; remove one of them"
                )
            named.append(dataclasses.replace(run, variant=variant))
    return named
