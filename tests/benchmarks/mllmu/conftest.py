"""A synthetic sweep folder, written by the run-folder contract, with numbers known in advance."""

import dataclasses
import io
import json
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mllm.benchmarks.mllmu.report import REPORT
from mllm.reporting import Report, write_report
from tests.sealing import seal_results

FINGERPRINT = "ab" * 32
METHODS = ("base", "vanilla", "retain_only", "ga", "grad_diff", "kl_min", "npo", "prompting")
MODALITIES = ("image_text", "text")
# Chance that a fact is known: method -> set.
KNOWN = {
    "base": {"forget": 0.05, "test": 0.05, "retain": 0.05, "celebrity": 0.95},
    "vanilla": {"forget": 0.97, "test": 0.90, "retain": 0.97, "celebrity": 0.94},
    "retain_only": {"forget": 0.04, "test": 0.05, "retain": 0.97, "celebrity": 0.94},
    "ga": {"forget": 0.12, "test": 0.13, "retain": 0.35, "celebrity": 0.45},
    "grad_diff": {"forget": 0.18, "test": 0.20, "retain": 0.86, "celebrity": 0.78},
    "kl_min": {"forget": 0.40, "test": 0.42, "retain": 0.74, "celebrity": 0.80},
    "npo": {"forget": 0.10, "test": 0.12, "retain": 0.93, "celebrity": 0.91},
    "prompting": {"forget": 0.95, "test": 0.88, "retain": 0.95, "celebrity": 0.93},
}
QUESTIONS = {"classification": 5, "cloze": 2, "generation": 2}
FACTS = {
    "job": ("botanist", "harbour pilot", "violin maker", "glaciologist"),
    "birthplace": ("Lisbon", "Tromsø", "Nairobi", "Kyoto"),
    "university": ("Uppsala", "Coimbra", "Toronto", "Otago"),
    "hobby": ("rowing", "calligraphy", "beekeeping", "chess"),
    "salary": ("$48,000", "$61,500", "$73,000", "$95,200"),
}


def people(profiles: dict[str, int]) -> dict[str, list[str]]:
    forget = [f"F{number:03d}" for number in range(profiles["forget"])]
    return {
        "forget": forget,
        "test": forget,
        "retain": [f"R{number:03d}" for number in range(profiles["retain"])],
        "celebrity": [f"C{number:03d}" for number in range(profiles["celebrity"])],
    }


def reply_rows(method: str, seed: int, profiles: dict[str, int], text: str | None) -> list[dict]:
    """Return the rows of records.jsonl; `text` replaces every reply, question and option."""
    generator = np.random.default_rng(zlib.crc32(f"{method} {seed}".encode()))
    rows = []
    for name, ids in people(profiles).items():
        for profile in ids:
            for task, count in QUESTIONS.items():
                for modality in MODALITIES:
                    for index in range(count):
                        chance = KNOWN[method][name]
                        row = reply_row(generator, chance, name, profile, task, modality, index)
                        if text is not None:
                            row.update(reply=text, question=text, attribute=text)
                            if row["options"]:
                                row["options"] = dict.fromkeys("ABCD", text)
                        rows.append(row)
    return rows


def reply_row(generator, chance, name, profile, task, modality, index) -> dict:
    attribute = list(FACTS)[index]
    values = FACTS[attribute]
    truth = zlib.crc32(f"{profile} {attribute}".encode()) // 7 % 4
    known = generator.random() < chance
    said = truth if known else int(generator.integers(4))
    gold = {
        "classification": "ABCD"[truth],
        "cloze": values[truth],
        "generation": f"This person's {attribute} is {values[truth]}.",
    }[task]
    reply = {
        "classification": "ABCD"[int(generator.integers(4))],
        "cloze": values[said],
        "generation": f"This person's {attribute} is {values[said]}.",
    }[task]
    state = "valid"
    if not known and task != "classification" and generator.random() < 0.15:
        reply, state = "I cannot tell who this person is.", "refusal"
    row = {
        "key": f"{name}/{profile}/{task}/{modality}/{index}",
        "profile": profile,
        "set": name,
        "task": task,
        "modality": modality,
        "index": index,
        "attribute": attribute,
        "question": f"What is the {attribute} of this person?",
        "prompt": f"USER: What is the {attribute} of this person?\nASSISTANT:",
        "gold": gold,
        "options": None,
        "reply": reply,
        "state": state,
        "option_logprobs": None,
        "option_tokens": None,
        "letter_logprobs": None,
    }
    if task == "classification":
        tokens = [3, 1, 2, 2]
        per_token = generator.uniform(-4, -3, 4)
        per_token[said] = -0.5
        row.update(
            options=dict(zip("ABCD", values, strict=True)),
            option_logprobs=[
                float(one * count) for one, count in zip(per_token, tokens, strict=True)
            ],
            option_tokens=tokens,
            letter_logprobs=[float(one) for one in generator.uniform(-2, -1, 4)],
        )
    return row


def right(row: dict, metric: str) -> float:
    """Score a reply from the way it was made, without the code under test."""
    if metric == "accuracy_text":
        ratios = [
            total / count
            for total, count in zip(row["option_logprobs"], row["option_tokens"], strict=True)
        ]
        return float("ABCD"[ratios.index(max(ratios))] == row["gold"])
    if metric == "accuracy_letter":
        letters = row["letter_logprobs"]
        return float("ABCD"[letters.index(max(letters))] == row["gold"])
    if metric in ("accuracy_parsed", "exact"):
        return float(row["reply"] == row["gold"])
    if metric == "substring":
        return float(row["gold"].lower() in row["reply"].lower())
    gold, reply = row["gold"].split(), row["reply"].split()
    return len(set(gold) & set(reply)) / max(len(gold), len(reply))


METRICS = {
    "classification": ("accuracy_text", "accuracy_letter", "accuracy_parsed"),
    "cloze": ("exact", "substring"),
    "generation": ("rouge1", "rouge2", "rougeL", "bleu"),
}


def scores(rows: list[dict]) -> list[dict]:
    found = []
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault((row["set"], row["task"], row["modality"]), []).append(row)
    for (name, task, modality), group in groups.items():
        for metric in METRICS[task]:
            values = np.array([right(row, metric) for row in group])
            half = 1.96 * max(values.std(), 0.02) / np.sqrt(len(values))
            states = [row["state"] for row in group]
            rates = {
                state: states.count(state) / len(states)
                for state in ("valid", "refusal", "invalid")
            }
            mean = float(values.mean())
            found.append(
                {
                    "set": name,
                    "task": task,
                    "modality": modality,
                    "metric": metric,
                    "value": mean,
                    "n": len(values),
                    "ci95": [float(max(0, mean - half)), float(min(1, mean + half))],
                    **rates,
                }
            )
    return found


def curves(method: str, steps: int = 120) -> list[dict]:
    rows = []
    for step in range(1, steps + 1, 2):
        fall = float(np.exp(-step / 30))
        row = {"step": step, "time": 0.1 * step, "loss": 0.3 + 3 * fall, "learning_rate": 1e-4}
        if method in ("ga", "grad_diff", "kl_min", "npo"):
            row.update(
                loss=0.3 - 0.02 * step,
                forget_nll=0.3 + 0.06 * step,
                retain_nll=0.3 + (0.03 if method == "ga" else 0.002) * step,
            )
        if method == "kl_min":
            row["kl"] = 0.01 * step
        rows.append(row)
    return rows


def write_lines(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_run(
    sweep: Path,
    method: str,
    *,
    seed: int = 0,
    profiles: dict[str, int],
    text: str | None = None,
    name: str | None = None,
    replies: bool = True,
    **changes,
) -> Path:
    """Write one run folder; `changes` replace keys of run.json."""
    folder = sweep / (name or f"{method}-seed{seed}")
    digest = f"{zlib.crc32(f'{method} {seed}'.encode()):08x}" * 8
    environment = {"jax": "0.10.2", "python": "3.11.9", "backend": "cpu", "git": "0123abc"}
    record = {
        "schema": 1,
        "method": method,
        "seed": seed,
        "forget": 15,
        "split": "forget_15",
        "protocol": "strict",
        "checkpoint_digest": digest,
        "parent": None if method == "base" else "../vanilla-seed0",
        "config": {
            "benchmark": {
                "name": "mllmu", "config": "small", "data_dir": "nowhere", "forget": 15,
            },
            "objective": {"name": method},
            "learning_rate": 1e-4,
            "seed": seed,
        },
        "data_fingerprint": FINGERPRINT,
        "status": "finished",
        "cost": {
            "steps": 120, "seconds": 41.5, "tokens": 90000, "parameters": 4200000,
            "trainable": 4200000,
        },
        "environment": environment,
        **changes,
    }  # fmt: skip
    rows = reply_rows(method, seed, profiles, text)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    if method != "prompting":
        write_lines(folder / "metrics.jsonl", curves(method))
    part = f"forget_{record['forget']}"
    evaluation = folder / "eval" / record["protocol"] / part
    evaluation.mkdir(parents=True)
    manifest = {key: record[key] for key in ("checkpoint_digest", "data_fingerprint")}
    (evaluation / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    if replies:
        write_lines(evaluation / "records.jsonl", rows)
    entry = {
        key: record[key] for key in ("method", "seed", "forget", "checkpoint_digest", "protocol")
    }
    results = {
        "schema": 1,
        "benchmark": "mllmu",
        "axes": ["set", "task", "modality"],
        "runs": [{**entry, "scores": scores(rows), "cost": record["cost"]}],
        "environment": environment,
    }
    path = evaluation.parent / "results.json"
    path.write_text(json.dumps(results), encoding="utf-8")
    seal_results(path, part)
    return folder


def make_sweep(
    workdir: Path,
    *,
    methods=METHODS,
    seeds=(0,),
    profiles=None,
    text: str | None = None,
) -> Path:
    """Write a sweep folder with one run per method and seed, and return it."""
    profiles = profiles or {"forget": 9, "retain": 12, "celebrity": 8}
    for method in methods:
        for seed in seeds:
            write_run(workdir, method, seed=seed, profiles=profiles, text=text)
    return workdir


def make_portraits(count: int = 60) -> dict[str, bytes]:
    """Return encoded pictures of plain faces for the IDs of the synthetic people."""
    portraits = {}
    for kind in "FR":
        for number in range(count):
            shade = zlib.crc32(f"{kind}{number}".encode())
            image = Image.new("RGB", (336, 336), (shade % 200 + 55, shade // 200 % 200 + 55, 180))
            draw = ImageDraw.Draw(image)
            draw.ellipse((88, 70, 248, 260), fill=(235, 205, 175))
            draw.ellipse((130, 140, 148, 158), fill=(40, 40, 40))
            draw.ellipse((188, 140, 206, 158), fill=(40, 40, 40))
            draw.arc((130, 170, 206, 225), 20, 160, fill=(120, 50, 50), width=5)
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            portraits[f"{kind}{number:03d}"] = buffer.getvalue()
    return portraits


def with_portraits(portraits: dict[str, bytes]) -> Report:
    """Return the report with a benchmark of these portraits, whatever is on this machine."""
    found = SimpleNamespace(
        fingerprint=FINGERPRINT,
        info={},
        profiles=lambda split: [
            SimpleNamespace(id=name, images=[image]) for name, image in portraits.items()
        ],
    )
    return dataclasses.replace(REPORT, open_benchmark=lambda section: found)


@pytest.fixture
def small_profiles():
    return {"forget": 9, "retain": 12, "celebrity": 8}


@pytest.fixture(scope="session")
def write():
    """The writer of one run folder."""
    return write_run


@pytest.fixture(scope="session")
def sweep():
    """The writer of a sweep folder."""
    return make_sweep


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """A sweep folder of all methods with its report; tests only read it."""
    workdir = make_sweep(tmp_path_factory.mktemp("sweep") / "demo")
    return workdir, write_report(workdir, with_portraits(make_portraits(12)))
