"""An invented benchmark: models read signals of ships, in clear air and in fog, from two ports.

Its axes, methods and metrics are those of no benchmark in the package.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from mllm.reporting import Axis, Group, Layout, Mark, Marking, Report, Style, write_report
from mllm.reporting.comparison import Comparison
from tests.sealing import seal_results

SIGNALS = ("flags", "lamps", "horns")
WEATHERS = ("clear", "fog")
SHIPS = [f"ship {number:02d}" for number in range(10)]
QUESTIONS = 3  # of each ship, for each signal and weather
# Chance that a signal is read: method -> weather.
READ = {
    "oracle": {"clear": 1.0, "fog": 1.0},
    "random": {"clear": 0.5, "fog": 0.5},
    "blind": {"clear": 0.45, "fog": 0.55},
    "lookout": {"clear": 0.8, "fog": 0.7},
    "small": {"clear": 0.6, "fog": 0.3},
    "large": {"clear": 0.97, "fog": 0.68},
    "later": {"clear": 0.5, "fog": 0.5},
}
FINGERPRINT = "5e" * 32


def question_values(records, protocol):
    """Score records by cell: a reading counts 1 where it is the signal that was given."""
    found = {}
    for row in records:
        cell = (row["signal"], row["weather"], "read")
        place = (row["ship"], row["number"])
        found.setdefault(cell, {})[place] = float(row["reply"] == row["gold"])
    return found


def marks(comparison: Comparison, cell):
    first = comparison.leader(comparison.methods, cell)
    lookout = comparison.key("lookout")
    return {
        key: Mark(key == first, "=" if comparison.alike(key, lookout, cell) else "")
        for key in comparison.keys
    }


LAYOUT = Layout(
    title="Signals",
    axes=(
        Axis("signal", {"flags": "Flags", "lamps": "Lamps", "horns": "Horns"}),
        Axis("weather", {"clear": "Clear air", "fog": "Fog"}, short={"clear": "Clear"}),
    ),
    methods={"lookout": "Human lookout", "small": "Small", "large": "Large"},
    anchors=("lookout",),
    unevaluated=("charts",),
    group=Group("port", "Port", "Port of {}", "{}"),
    metrics={"read": "signals read"},
    chance=lambda cell: 0.5,
    marking=Marking(
        marks, "Bold: the best. =: like the lookout.", "* best; = like the lookout.",
        {"=": "not distinguishable from the lookout"},
    ),
    question_values=question_values,
    clusters="ships",
    styles={"lookout": Style("ink", "*")},
)  # fmt: skip
REPORT = Report(
    LAYOUT,
    finding=lambda comparison: f"{len(comparison.methods)} models were compared.",
    finding_rule="Counted, not judged.",
)


def reply_rows(method: str, seed: int, text: str | None) -> list[dict]:
    generator = np.random.default_rng(zlib.crc32(f"{method} {seed}".encode()))
    rows = []
    for signal in SIGNALS:
        for weather in WEATHERS:
            for ship in SHIPS:
                for number in range(QUESTIONS):
                    chance = READ.get(method, READ["later"])[weather]
                    reply = "north" if generator.random() < chance else "south"
                    rows.append(
                        {
                            "signal": signal,
                            "weather": weather,
                            "ship": ship,
                            "number": number,
                            "question": text or "Which way does the ship turn?",
                            "gold": "north",
                            "reply": reply,
                        }
                    )
    return rows


def scores_of(rows: list[dict]) -> list[dict]:
    """Score the rows as they were made, without the code under test."""
    found = []
    for signal in SIGNALS:
        for weather in WEATHERS:
            chosen = [r for r in rows if (r["signal"], r["weather"]) == (signal, weather)]
            mean = sum(row["reply"] == "north" for row in chosen) / len(chosen)
            half = 1.96 * max(mean * (1 - mean), 0.001) ** 0.5 / len(chosen) ** 0.5
            found.append(
                {
                    "signal": signal,
                    "weather": weather,
                    "metric": "read",
                    "value": mean,
                    "n": len(chosen),
                    "ci95": [max(0.0, mean - half), min(1.0, mean + half)],
                    "valid": 1.0,
                    "refusal": 0.0,
                    "invalid": 0.0,
                }
            )
    return found


def write_run(
    sweep: Path,
    method: str,
    *,
    seed: int = 0,
    text: str | None = None,
    name: str | None = None,
    replies: bool = True,
    manifest: dict | None = None,
    axes: tuple[str, ...] | None = ("signal", "weather"),
    **changes,
) -> Path:
    """Write one run folder; `changes` replace keys of run.json."""
    folder = sweep / (name or f"{method}-seed{seed}")
    environment = {"jax": "0.10.2", "backend": "cpu"}
    record = {
        "schema": 1,
        "method": method,
        "seed": seed,
        "port": "north",
        "protocol": "watch",
        "checkpoint_digest": f"{zlib.crc32(f'{method} {seed}'.encode()):08x}" * 8,
        "parent": None,
        "config": {"benchmark": {"name": "signals", "config": "day"}, "rate": 0.1, "seed": seed},
        "data_fingerprint": FINGERPRINT,
        "status": "finished",
        "cost": {"steps": 120, "seconds": 41.5, "parameters": 4200000},
        "environment": environment,
        **changes,
    }
    rows = reply_rows(method, seed, text)
    part = f"port_{record['port']}"
    evaluation = folder / "eval" / record["protocol"] / part
    evaluation.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    if replies:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (evaluation / "records.jsonl").write_text(lines, encoding="utf-8")
    options = {
        "checkpoint_digest": record["checkpoint_digest"],
        "data_fingerprint": record["data_fingerprint"],
        "protocol": {"limit": 16},
    }
    (evaluation / "manifest.json").write_text(json.dumps({**options, **(manifest or {})}))
    entry = {
        key: record[key] for key in ("method", "seed", "port", "checkpoint_digest", "protocol")
    }
    results = {
        "schema": 1,
        "benchmark": "signals",
        **({} if axes is None else {"axes": list(axes)}),
        "runs": [{**entry, "scores": scores_of(rows), "cost": record["cost"]}],
        "environment": environment,
    }
    path = evaluation.parent / "results.json"
    path.write_text(json.dumps(results), encoding="utf-8")
    seal_results(path, part)
    return folder


@pytest.fixture(scope="session")
def write():
    """The writer of one run folder."""
    return write_run


@pytest.fixture(scope="session")
def report():
    """The report of the invented benchmark."""
    return REPORT


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """A sweep folder of all methods with its report; tests only read it."""
    workdir = tmp_path_factory.mktemp("sweep") / "watch"
    for method in ("oracle", "random", "blind", "lookout", "small", "large"):
        write_run(workdir, method)
    return workdir, write_report(workdir, REPORT)
