"""Labels that people give to outputs, and how far a judge agrees with them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mllm.benchmarks.cobsat.judge import SIDES, Judged, vocabulary
from mllm.benchmarks.cobsat.scores import metrics
from mllm.benchmarks.cobsat.tasks import WORDS, display, undisplay
from mllm.evaluation.statistics import cohen_kappa

COLUMNS = ("key", *SIDES)
NOTHING = ""  # an output that shows no word of the vocabulary


class Agreement(NamedTuple):
    """How a judge and people agree on the same outputs.

    Attributes:
      n: outputs that both judged.
      same: the share on which they agree. kappa: Cohen's; NaN where chance alone agrees fully.
    """

    n: int
    same: float
    kappa: float


def to_label(records: Sequence[Mapping], path: str | Path) -> None:
    """Write a CSV file to be filled in: a line for each record, with the options of both sides."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "file", "text", *(f"{side}_options" for side in SIDES)])
        for record in records:
            name = record["picture"] or {}
            shown = "".join(name.values())
            options = [
                " / ".join(map(display, WORDS[vocabulary(record["theme"], side)])) for side in SIDES
            ]
            writer.writerow([record["key"], "", "", shown, record["text"] or "", *options])


def read_labels(path: str | Path, records: Sequence[Mapping]) -> dict[str, Judged]:
    """Return the labels of a CSV file with the columns key, detail and object, by key.

    Words are those of the vocabulary or as displayed; an empty one says that the output shows none.
    Other columns are not read.

    Args:
      records: of the evaluation whose outputs were labelled.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a column is missing, a key is none of the records' or labelled twice, or a word is
        not of its vocabulary; the message names file and line.
    """
    themes = {record["key"]: record["theme"] for record in records}
    labels: dict[str, Judged] = {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: has no column {missing}, expected {list(COLUMNS)}")
        for row in reader:
            where, key = f"{path}, line {reader.line_num}", (row["key"] or "").strip()
            if key not in themes:
                raise ValueError(f"{where}: key {key!r} is none of the evaluation's records")
            if key in labels:
                raise ValueError(f"{where}: key {key!r} was labelled before; leave one of them")
            labels[key] = {side: _word(row[side], themes[key], side, where) for side in SIDES}
    return labels


def _word(said: str | None, theme: str, side: str, where: str) -> str | None:
    word = undisplay((said or NOTHING).strip().lower())
    if word == NOTHING:
        return None
    known = WORDS[vocabulary(theme, side)]
    if word not in known:
        raise ValueError(
            f"{where}: {side} is {said!r}, expected one of {', '.join(known)}, or none"
        )
    return word


def agreement(
    records: Sequence[Mapping], labels: Mapping[str, Judged], rule: str
) -> dict[str, Agreement]:
    """Return how a rule of the judge agrees with people: on the word of each side, and on whether
    an output is right overall.

    Outputs without a label, and those that the rule was not applied to, are left out.
    """
    both = [
        (record, record["judged"][rule], labels[record["key"]])
        for record in records
        if record["key"] in labels and rule in record["judged"]
    ]
    pairs = {side: [(judged[side], human[side]) for _, judged, human in both] for side in SIDES}
    pairs["overall"] = [
        tuple(metrics(record, found)["overall"] for found in (judged, human))
        for record, judged, human in both
    ]
    return {name: _agreement(found) for name, found in pairs.items()}


def _agreement(pairs: Sequence[tuple]) -> Agreement:
    judged, human = [one for one, _ in pairs], [other for _, other in pairs]
    same = sum(one == other for one, other in pairs) / len(pairs) if pairs else float("nan")
    return Agreement(len(pairs), same, cohen_kappa(judged, human))
