"""Labels of people: read as written, refused where they cannot be, and compared with the judge."""

import csv
import random

import numpy as np
import pytest

from mllm.benchmarks.cobsat.human import agreement, read_labels, to_label
from mllm.benchmarks.cobsat.tasks import TASKS, WORDS, display


def truth(judge, human):
    """Agreement and kappa from the table of both labellings (Cohen 1960)."""
    names = sorted({*judge, *human}, key=str)
    table = np.zeros((len(names), len(names)))
    for one, other in zip(judge, human, strict=True):
        table[names.index(one), names.index(other)] += 1 / len(judge)
    chance = float(table.sum(0) @ table.sum(1))
    return np.trace(table), (np.trace(table) - chance) / (1 - chance)


def records(count=60, seed=0):
    rng = random.Random(seed)
    made = []
    for number in range(count):
        task = TASKS[rng.choice([1, 6])]
        pair = task.pair(rng.choice(WORDS[task.x]), rng.choice(WORDS[task.theta]))
        truth = {"detail": pair.detail, "object": pair.object}
        judged = {
            side: word if rng.random() < 0.7 else rng.choice([None, "hat"])
            for side, word in truth.items()
        }
        made.append(
            {
                "key": f"k{number}",
                "theme": task.theme,
                "x": task.x,
                "theta": task.theta,
                "truth": truth,
                "judged": {"numbers": judged} if number else {},
                "picture": {"image": "ab"},
                "text": None,
            }
        )
    return made


def write(path, rows, columns=("key", "detail", "object")):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def test_agreement_and_kappa_are_those_of_the_table_of_both(tmp_path):
    made, rng = records(), random.Random(1)
    labels = {
        r["key"]: {s: w if rng.random() < 0.6 else None for s, w in r["truth"].items()}
        for r in made[:50]
    }
    rows = [(key, *(display(word or "") for word in said.values())) for key, said in labels.items()]
    read = read_labels(write(tmp_path / "labels.csv", rows), made)
    assert read == labels
    found = agreement(made, read, "numbers")
    both = [record for record in made[1:50]]  # the first one was not judged
    for side in ("detail", "object"):
        judge = [record["judged"]["numbers"][side] or "" for record in both]
        human = [labels[record["key"]][side] or "" for record in both]
        assert found[side].n == 49
        assert found[side][1:] == pytest.approx(truth(judge, human))
    judge = [r["judged"]["numbers"] == r["truth"] for r in both]
    human = [labels[r["key"]] == r["truth"] for r in both]
    assert found["overall"][1:] == pytest.approx(truth(judge, human))


def test_the_file_to_fill_in_can_be_read_back(tmp_path):
    made = records(5)
    to_label(made, tmp_path / "empty.csv")
    read = read_labels(tmp_path / "empty.csv", made)
    assert read == {r["key"]: {"detail": None, "object": None} for r in made}
    lines = (tmp_path / "empty.csv").read_text().splitlines()
    assert "wireframe" in "".join(lines) or all(r["theme"] == "color" for r in made)


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([("k9", "red", "bag")], ("key", "detail", "object"), "line 2: key 'k9' is none of"),
        ([("k1", "", ""), ("k1", "", "")], ("key", "detail", "object"), "line 3: key 'k1' was"),
        ([("k1", "reddish", "")], ("key", "detail", "object"), "line 2: detail is 'reddish'"),
        ([("k1", "")], ("key", "detail"), r"no column \['object'\]"),
    ],
)
def test_labels_that_cannot_be_read_are_named(tmp_path, rows, columns, message):
    with pytest.raises(ValueError, match=message):
        read_labels(write(tmp_path / "labels.csv", rows, columns), records(3))
