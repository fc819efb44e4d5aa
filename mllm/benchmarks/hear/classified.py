"""Scores of classification: how often the first class is right, and how well all are ranked."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mllm.benchmarks.hear.classes import LEVELS, READ, SHUFFLED
from mllm.benchmarks.hear.incontext import PLAIN
from mllm.evaluation.detection import best_threshold, f1_and_recall, ranked
from mllm.evaluation.statistics import (
    centred_interval,
    mean_interval,
    resampled_weights,
    statistic_interval,
)

TASKS = ("direct", *READ)
SETS = ("all", "rare", "common")  # of classes
# Metrics that are means over classes, and the measure of a class.
OF_CLASSES = {"map": "average_precision", "auc": "auc", "f1": "f1", "recall": "recall"}
METRICS = (*LEVELS, *OF_CLASSES)
SAMPLES = 500  # resamplings of means over classes

Record = Mapping[str, Any]
Found = tuple[str, float, int, list[float | None]]  # metric, value, number, interval


class Classified:
    """The records of one task and condition, without errors, as arrays of N clips and C classes.

    Attributes:
      classes: [C]. scores: float[N, C]. truth: bool[N, C], whether a class is a tag of the clip.
      rare: bool[C].
      thresholds: float[C], from which score on a class is said to be heard: that of the highest F1
        on the clips of the validation split. NaN where no such clip has the class, or none was
        asked about.
    """

    def __init__(self, records: Sequence[Record], validation: Sequence[Record] = ()):
        """Take the records.

        Args:
          records: at least one. validation: of the validation split.
        """
        self.records = records
        self.classes = list(records[0]["scores"])
        self.scores, self.truth = _arrays(records, self.classes)
        self.rare = np.isin(self.classes, records[0]["rare"])
        self.thresholds = np.full(len(self.classes), np.nan)
        if validation:
            columns = zip(*(a.T for a in _arrays(validation, self.classes)), strict=True)
            self.thresholds = np.array([best_threshold(*column) for column in columns])
        self.clusters = [record["cluster"] for record in records]

    def columns(self, name: str) -> np.ndarray:
        """Return the numbers of the classes of a set."""
        if name == "all":
            return np.arange(len(self.classes))
        return np.flatnonzero(self.rare if name == "rare" else ~self.rare)

    def metrics(self, name: str) -> Iterator[Found]:
        """Yield the metrics of a set of classes.

        Those of ``LEVELS`` are over the clips whose label is in the set; others are means over the
        classes of the set that a clip has, each over all clips.
        """
        columns = self.columns(name)
        chosen = {self.classes[column] for column in columns}
        own = [r for r in self.records if name == "all" or r["label"] in chosen]
        for level in LEVELS if own else ():
            values = [record["metrics"][level] for record in own]
            interval = mean_interval(values, [record["cluster"] for record in own])
            yield level, float(np.mean(values)), len(own), interval
        for metric, measure in OF_CLASSES.items():
            value, interval = _interval(measure, _mean(self.by_class[measure][:, columns]))
            if not np.isnan(value):
                yield metric, value, len(self.records), interval

    @cached_property
    def by_class(self) -> dict[str, np.ndarray]:
        """The measures of each class by name, float64[1 + R, C]: of the clips as they are, then of
        each resampling of base signals. NaN where one is not defined.
        """
        weights = resampled_weights(self.clusters, samples=SAMPLES)
        columns = [self._of_class(column, weights) for column in range(len(self.classes))]
        return dict(zip(OF_CLASSES.values(), np.moveaxis(np.array(columns), 0, -1), strict=True))

    def _of_class(self, column: int, weights: np.ndarray) -> list[np.ndarray]:
        """Return the measures of a class, each float64[1 + R]."""
        scores, truth = self.scores[:, column], self.truth[:, column]
        found = [*ranked(scores, truth, weights)]
        if np.isnan(self.thresholds[column]):
            return [*found, *np.full((2, len(weights)), np.nan)]
        return [*found, *f1_and_recall(scores >= self.thresholds[column], truth, weights)]


def cells_of(records: Sequence[Record]) -> dict[tuple[str, str], list[Record]]:
    """Return the records of the evaluated split by task and condition, errors too."""
    found: dict[tuple[str, str], list[Record]] = {}
    for record in evaluated(records):
        if record["task"] in TASKS:
            found.setdefault((record["task"], record["condition"]), []).append(record)
    return found


def evaluated(records: Sequence[Record]) -> list[Record]:
    """Return the records of the split that is evaluated: clips of the validation split only serve
    to choose thresholds, unless there are no others.
    """
    others = [record for record in records if record["split"] != "validation"]
    return others or list(records)


def classified(records: Sequence[Record], task: str, condition: str) -> Classified | None:
    """Return the records of a task and condition; None where all are errors or there are none.

    What is read of shuffled captions is judged by the thresholds of the right ones.
    """
    own = [r for r in cells_of(records).get((task, condition), ()) if r["state"] != "error"]
    tuned = PLAIN if condition == SHUFFLED else condition
    validation = [
        record
        for record in records
        if (record["task"], record["condition"], record["split"]) == (task, tuned, "validation")
        and record["state"] != "error"
    ]
    return Classified(own, validation) if own else None


def class_table(
    records: Sequence[Record], task: str = "direct", condition: str = PLAIN
) -> list[dict[str, Any]]:
    """Return a row for each class: "class", "rare", "n" (clips that have it), and its measures,
    each as (value, [low, high]) or None where it is not defined.
    """
    found = classified(records, task, condition)
    rows = []
    for column, name in enumerate(found.classes if found else ()):
        row = {"class": name, "rare": bool(found.rare[column])}
        row["n"] = int(found.truth[:, column].sum())
        for metric, values in found.by_class.items():
            value, interval = _interval(metric, values[:, column])
            row[metric] = None if np.isnan(value) else (value, interval)
        rows.append(row)
    return rows


def confusions(
    records: Sequence[Record], task: str = "direct", condition: str = PLAIN
) -> dict[tuple[str, str | None], int]:
    """Return how often clips of a label get a class first, by label and class. None stands for no
    class, or several.
    """
    found: dict[tuple[str, str | None], int] = {}
    for record in cells_of(records).get((task, condition), ()):
        if record["state"] != "error" and record["label"] is not None:
            place = record["label"], record["top"]
            found[place] = found.get(place, 0) + 1
    return found


def _arrays(records: Sequence[Record], classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.array([[record["scores"][name] for name in classes] for record in records])
    return scores, np.array([[name in record["tags"] for name in classes] for record in records])


def _interval(measure: str, values: np.ndarray) -> tuple[float, list[float | None]]:
    """Return a measure of classes and its interval, of its values float64[1 + R]."""
    if measure == "average_precision":
        return centred_interval(values, (0.0, 1.0))
    return statistic_interval(values)


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over classes of values float64[1 + R, C], NaN where no class has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of means of nothing
        return np.nanmean(values, axis=1)
