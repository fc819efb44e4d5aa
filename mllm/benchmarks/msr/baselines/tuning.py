"""Choose the options of a baseline on validation users: every baseline by as many trials."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mllm.benchmarks.msr.baselines.log import Held, TrainingLog
from mllm.benchmarks.msr.baselines.recommender import Recommender, Shape, given
from mllm.benchmarks.msr.baselines.training import Options, train_once
from mllm.benchmarks.msr.metrics import ranking_metrics
from mllm.files import read_sealed, write_sealed
from mllm.parallel.launch import is_first, wait_for_all
from mllm.registry import lookup
from mllm.studies.environment import digest
from mllm.studies.lock import hold
from mllm.training.progress import tell

CHOSEN_BY = "auc_pooled"
RECORD = "trials.json"


@dataclass(frozen=True, eq=False)
class Trained:
    """A baseline with the options that were chosen.

    Attributes:
      shape, variables: of the trial that was chosen.
      trials: options and validation metrics of each trial. chosen: its place among them.
    """

    shape: Shape
    variables: dict[str, Any]
    trials: tuple[dict[str, Any], ...]
    chosen: int


def trials_of(grid: Mapping[str, Sequence[float]]) -> list[Options]:
    """Return the options of all trials: each combination of the values of a grid.

    Raises:
      ValueError: an option that is unknown or has no values.
    """
    known = {field.name: field.name for field in fields(Options)}
    for name, values in grid.items():
        lookup(known, name, "option of a baseline's grid:")
        if not len(values):
            raise ValueError(f"grid: {name} has no values; name one, or leave {name} out")
    return [Options(**dict(zip(grid, chosen, strict=True))) for chosen in product(*grid.values())]


def tuned(
    name: str,
    recommender: Recommender,
    shape: Shape,
    log: TrainingLog,
    held: Held,
    trials: Sequence[Options],
    folder: Path,
    *,
    rows: int,
    seed: int,
    features: np.ndarray | None = None,
    made_from: Mapping[str, Any],
    save_every: int = 1000,
) -> Trained:
    """Train a baseline with each of the options and return the one that ranks validation users'
    candidates best, by ``CHOSEN_BY``; of equal ones the first.

    Each trial lies in a folder of its own below ``<folder>/<digest>``, where ``trials.json`` tells
    all of them. What is there is not done again.

    Args:
      made_from: JSON values of what the log and the features depend on.
    """
    source = {
        "baseline": name,
        "shape": asdict(shape),
        "trials": [asdict(options) for options in trials],
        "rows": rows,
        "seed": seed,
        **made_from,
    }
    folder = folder / digest(source)[:16]

    def trained(number: int) -> dict[str, Any]:
        options = trials[number]
        shown = given(log, features, dropout=options.dropout, decay=options.decay)
        return train_once(
            recommender,
            shape,
            log,
            shown,
            options,
            folder / f"trial{number}",
            name=f"{name} trial {number + 1} of {len(trials)}",
            rows=rows,
            seed=seed,
            meta={"trial": number, "made_from": source},
            save_every=save_every,
        )

    with hold(folder):
        if (folder / RECORD).exists():
            record = read_sealed(folder / RECORD)
            chosen = record["chosen"]
            return Trained(shape, trained(chosen), tuple(record["trials"]), chosen)
        found, best, chosen = [], None, 0
        for number, options in enumerate(trials):
            variables = trained(number)
            scores = recommender.scores(shape, variables, held.histories)
            metrics = _metrics(scores, held.candidates)
            found.append({"options": asdict(options), "validation": metrics})
            if number == 0 or metrics[CHOSEN_BY] > found[chosen]["validation"][CHOSEN_BY]:
                best, chosen = variables, number
        record = {"source": source, "trials": found, "chosen": chosen, "chosen_by": CHOSEN_BY}
        if is_first():
            write_sealed(folder / RECORD, json.loads(json.dumps(record)))
        wait_for_all(f"{folder / RECORD} is written")
        for line in lines_of(name, found, chosen, len(held.histories)):
            tell(line)
        return Trained(shape, best, tuple(found), chosen)


def _metrics(scores: np.ndarray, candidates: np.ndarray) -> dict[str, float]:
    asked = np.take_along_axis(scores, candidates, axis=1)
    return ranking_metrics(asked, np.zeros(len(asked), int))


def lines_of(name: str, trials: Sequence[Mapping[str, Any]], chosen: int, users: int) -> list[str]:
    """Return a line about each trial."""
    lines = []
    for number, trial in enumerate(trials):
        options = ", ".join(f"{key} {value:g}" for key, value in trial["options"].items())
        auc, hit = (trial["validation"][key] for key in (CHOSEN_BY, "hr@5"))
        mark = "  <- chosen" if number == chosen else ""
        lines.append(
            f"{name} trial {number + 1} of {len(trials)}: {options}: pooled AUC {auc:.3f}, "
            f"HR@5 {hit:.3f} of {users} validation users{mark}"
        )
    return lines
