"""One run of a sweep: its folder, its record, its scores and what it logged.

Scores are shown only if they are what the evaluation wrote: each entry of results.json is sealed,
and names the manifest and the records that it was made from by their content.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mllm.evaluation.places import MANIFEST, protocol_of, without_options
from mllm.evaluation.store import RECORDS
from mllm.files import (
    file_digest,
    is_sealed,
    read_json,
    read_jsonl,
    read_run,
    read_sealed,
)
from mllm.reporting.layout import Layout

SCHEMA = 1
RATES = ("valid", "refusal", "invalid")
_RUN_KEYS = {"schema": int, "method": str, "seed": int, "status": str}
_FINISHED_KEYS = {
    "protocol": str,
    "checkpoint_digest": str,
    "data_fingerprint": str,
    "config": dict,
    "cost": dict,
    "environment": dict,
}
_RESULTS_KEYS = {"schema": int, "benchmark": str, "runs": list}
_AGAIN = "run experiments.evaluate again on this run: replies that are there are not asked again"


@dataclasses.dataclass(frozen=True)
class Run:
    """One checkpoint evaluated for one group of the layout.

    Attributes:
      protocol: what it was evaluated under, with the form of the weights. Two evaluations under
        one protocol may differ in their options, which ``manifest`` holds; the one that stands
        outside the tables carries their digest in its name.
      scores: the score objects of results.json, unchanged.
      manifest: what the scores depend on; empty for a run without scores.
      variant: the settings in which runs of one method and seed differ, or "".
    """

    folder: Path
    name: str
    method: str
    seed: int
    group: Any
    protocol: str
    checkpoint_digest: str
    data_fingerprint: str
    benchmark: str
    axes: tuple[str, ...]
    parent: str | None
    command: str | None
    config: dict[str, Any]
    cost: dict[str, Any]
    environment: dict[str, Any]
    results_environment: dict[str, Any]
    scores: tuple[dict[str, Any], ...]
    records_path: Path
    manifest: dict[str, Any]
    variant: str = ""

    @property
    def asked_by(self) -> str:
        """Return the protocol that asked, without the form of the weights and the options."""
        return protocol_of(self.protocol)


@dataclasses.dataclass(frozen=True)
class Problem:
    """A run that cannot be in the tables, and why."""

    name: str
    method: str
    reason: str


def read_record(path: Path) -> dict[str, Any]:
    """Return the run.json of a finished run.

    Raises:
      ValueError: the run is unfinished, or a key is missing or of another type.
    """
    record = read_run(path)
    _require(record, _RUN_KEYS, "run.json")
    if record["status"] == "diverged":
        raise ValueError(f"diverged: {record.get('diverged')}; try a smaller learning rate")
    if record["status"] != "finished":
        raise ValueError(f"unfinished: its status is {record['status']!r}; start the sweep again")
    _require(record, _FINISHED_KEYS, "run.json")
    return record


def read_results(
    folder: Path, name: str, record: dict[str, Any], path: Path, layout: Layout
) -> tuple[list[Run], list[Problem]]:
    """Return the runs that a results.json of a run folder holds, one for each part that was
    evaluated, and why others cannot be shown.

    Raises:
      ValueError: the file is no results.json, or lacks its axes.
    """
    results = read_json(path)
    _require(results, _RESULTS_KEYS, "results.json")
    if not results["runs"]:
        raise ValueError("results.json: 'runs' is empty, expected at least one entry")
    layout = _layout_of(results, layout)
    runs, problems = [], []
    for entry in results["runs"]:
        try:
            runs.append(_read_entry(folder, name, record, path, layout, results, entry))
        except (ValueError, OSError) as error:
            problems.append(Problem(name, record["method"], str(error)))
    return runs, problems


def _read_entry(
    folder: Path,
    name: str,
    record: dict[str, Any],
    path: Path,
    layout: Layout,
    results: dict[str, Any],
    entry: Any,
) -> Run:
    """Return the run of an entry of results.json.

    Raises:
      ValueError: the scores are those of another checkpoint or of other data, are no numbers, or
        they, their manifest or their records were changed since the evaluation.
    """
    where = f"{path.relative_to(folder)}"
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: a run is {type(entry).__name__}, expected an object")
    _check_entry({**record, "protocol": path.parent.name}, entry, layout)
    if not is_sealed(entry):
        raise ValueError(f"{where}: scores were changed after they were written; {_AGAIN}")
    made_from = entry.get("made_from")
    part = made_from.get("part") if isinstance(made_from, dict) else None
    if not isinstance(part, str) or part != Path(part).name:
        raise ValueError(f"{where}: made_from.part is {part!r}, expected a folder; {_AGAIN}")
    evaluation = path.parent / part
    for file in (MANIFEST, RECORDS):
        found = evaluation / file
        if found.is_file() and file_digest(found) != made_from.get(file):
            raise ValueError(
                f"{found.relative_to(folder)}: was changed after the scores were made from it; "
                f"{_AGAIN}"
            )
    manifest = read_sealed(evaluation / MANIFEST)
    for key in ("checkpoint_digest", "data_fingerprint"):
        if manifest.get(key) != record[key]:
            raise ValueError(
                f"{evaluation.relative_to(folder) / MANIFEST}: {key} is {manifest.get(key)!r}, "
                f"expected {record[key]!r} as in run.json; {_AGAIN}"
            )
    run = make_run(folder, name, record, layout)
    key = layout.group.key if layout.group else None
    return dataclasses.replace(
        run,
        group=entry.get(key, run.group) if key else None,
        protocol=without_options(entry["protocol"]),
        benchmark=results["benchmark"],
        cost={**run.cost, **(entry.get("cost") or {})},
        results_environment=results.get("environment") or {},
        scores=tuple(entry.get("scores") or ()),
        records_path=evaluation / RECORDS,
        manifest=manifest,
    )


def make_run(folder: Path, name: str, record: Mapping[str, Any], layout: Layout) -> Run:
    """Return the run of a record, without scores."""
    return Run(
        folder=folder,
        name=name,
        method=record["method"],
        seed=record["seed"],
        group=record.get(layout.group.key) if layout.group else None,
        protocol=record["protocol"],
        checkpoint_digest=record["checkpoint_digest"],
        data_fingerprint=record["data_fingerprint"],
        benchmark="",
        axes=layout.axis_names,
        parent=record.get("parent"),
        command=record.get("command"),
        config=record["config"],
        cost=record["cost"],
        environment=record["environment"],
        results_environment={},
        scores=(),
        records_path=folder / RECORDS,
        manifest={},
    )


def read_metrics(run: Run) -> dict[str, tuple[list[float], list[float]]]:
    """Return metric name -> (steps, values) of metrics.jsonl.

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


def _require(record: dict[str, Any], keys: dict[str, type], file: str) -> None:
    for key, kind in keys.items():
        if not isinstance(record.get(key), kind) or isinstance(record.get(key), bool):
            found = type(record[key]).__name__ if key in record else "nothing"
            raise ValueError(f"{file}: key {key!r} is {found}, expected {kind.__name__}")
    if record["schema"] != SCHEMA:
        raise ValueError(f"{file}: schema is {record['schema']}, expected {SCHEMA}")


def _layout_of(results: dict[str, Any], layout: Layout) -> Layout:
    """Return the layout, with the axes of the file where it has none of its own."""
    named = results.get("axes")
    if named is None:
        if layout.axes:
            return layout
        raise ValueError("results.json: key 'axes' is missing, expected a list of the scores' keys")
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ValueError(f"results.json: axes is {named!r}, expected a list of keys")
    if not layout.axes:
        return layout.with_axes(named)
    if tuple(named) != layout.axis_names:
        raise ValueError(
            f"results.json: axes is {named}, expected {list(layout.axis_names)}; the scores are of "
            "another benchmark, or were written by another version: evaluate this run again"
        )
    return layout


def _check_entry(record: dict[str, Any], entry: dict[str, Any], layout: Layout) -> None:
    for key in ("method", "seed", "checkpoint_digest", "protocol"):
        if entry.get(key) != record[key]:
            raise ValueError(
                f"results.json: {key} is {entry.get(key)!r}, expected {record[key]!r} as in "
                "run.json; the scores belong to another checkpoint, evaluate this run again"
            )
    for place, score in enumerate(entry.get("scores") or ()):
        _check_score(score, f"results.json: score {place}", layout)


def _check_score(score: Any, where: str, layout: Layout) -> None:
    if not isinstance(score, dict):
        raise ValueError(f"{where} is {type(score).__name__}, expected an object")
    for axis in layout.axes:
        value = score.get(axis.name)
        if not isinstance(value, str):
            raise ValueError(f"{where}: {axis.name} is {value!r}, expected a text")
        if axis.labels and value not in axis.labels:
            known = tuple(axis.labels)
            raise ValueError(f"{where}: {axis.name} is {value!r}, expected one of {known}")
    if not isinstance(score.get("metric"), str):
        raise ValueError(f"{where}: metric is {score.get('metric')!r}, expected a name")
    for key in ("n", *RATES):
        if not _is_number(score.get(key)):
            raise ValueError(f"{where}: {key} is {score.get(key)!r}, expected a finite number")
    # Null says that nothing was scored (every reply an error), or one cluster and no interval.
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
