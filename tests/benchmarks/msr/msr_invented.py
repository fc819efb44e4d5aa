"""An invented study: the real protocol and scores, and answers whose quality is known beforehand.

Nothing is trained. Methods see the true log-probabilities through more or less noise.
"""

import dataclasses
import random
from pathlib import Path

import numpy as np

from mllm.benchmarks.msr import brackets
from mllm.benchmarks.msr.preference import Preferences
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.protocol import Protocol, records_of, rounds
from mllm.benchmarks.msr.reading import Reading
from mllm.benchmarks.msr.scores import AXES, scores_of
from mllm.benchmarks.msr.summaries import Summaries
from mllm.benchmarks.msr.wording import BRIEF
from mllm.evaluation.request import Choices, Questions, Reply, Request
from mllm.evaluation.store import ask
from mllm.files import write_json, write_sealed
from tests.sealing import seal_results

READING = Reading(Prompts(BRIEF), Summaries(), Preferences(block=3))
DIRECT = dataclasses.replace(READING, preferences=Preferences(form="direct"))
BLOCKS = dataclasses.replace(READING, preferences=Preferences(block=1))
BARE = dataclasses.replace(READING, prompts=Prompts(BRIEF, history=("title",)))
PLAIN = dataclasses.replace(READING, prompts=Prompts(BRIEF, candidate=("title",)))
# Method -> noise on the true scores of warm and of cold items; None: the items are not told apart.
METHODS: dict[str, tuple[float, float | None]] = {
    "recommender": (0.3, 0.3),
    "zero_shot": (6.0, 6.0),
    "tallrec": (1.2, 1.2),
    "sasrec": (0.5, None),
    "popularity": (4.0, None),
}
BRACKETS = ("oracle", "bayes", "random", "constant")


class Invented:
    """Answer questions about candidates by a noisy score, and ask for words of items."""

    def __init__(self, benchmark, noise: tuple[float, float | None], seed: int, said):
        self.benchmark, self.noise, self.seed, self.said = benchmark, noise, seed, said
        self.true = brackets.bayes(benchmark).score
        self.identity = {"noise": list(noise), "seed": seed}

    def answer(self, requests, done):
        yield [self._reply(request) for request in requests if request.key not in done]

    def _reply(self, request: Request) -> Reply:
        tokens = {"prompt_tokens": sum(len(turn.text) for turn in request.turns) // 4}
        if self.noise in (METHODS["sasrec"], METHODS["popularity"]):
            tokens = {}  # they know items by number
        if not isinstance(request.ask, Choices):
            text = self.said(self._words(request))
            extra = {**tokens, "reply_tokens": len(text) // 4}
            return Reply(request.key, text=text, extra=extra)
        texts = request.ask.texts
        logprobs = brackets.shared(texts, self._score(request))
        return Reply(request.key, logprobs=logprobs, tokens=(1,) * len(texts), extra=tokens)

    def _words(self, request: Request) -> str:
        tags = request.tags
        if tags["part"] == "summary":
            item = next(one for one in self.benchmark.items if one.id == tags["item"])
            return " ".join(list(item.attributes.values())[:3])
        chosen = [self.benchmark.item(id).attributes for id in tags["items"]]
        return f"Likes {', '.join(dict.fromkeys(one['subject'] for one in chosen))}."

    def _score(self, request: Request) -> float:
        item = request.tags["item"]
        noise = self.noise[not self.benchmark.popularity[item]]
        if noise is None:
            return -9.0
        drawn = random.Random(f"{self.seed}:{request.tags['user']}:{item}")
        return self.true(request) + drawn.gauss(0, noise)


def answerer(method: str, benchmark, seed: int = 0, said=str):
    """Return what answers for a method; a bracket is the real one."""
    made = {
        "oracle": brackets.oracle,
        "bayes": lambda: brackets.bayes(benchmark),
        "random": lambda: brackets.guessing(seed),
        "constant": brackets.constant,
    }
    if method in made:
        return made[method]()
    return Invented(benchmark, METHODS[method], seed, said)


def write_run(
    workdir: Path,
    method: str,
    benchmark,
    *,
    reading: Reading = READING,
    variant: str = "",
    seed: int = 0,
    asks=None,
    section: dict | None = None,
    said=str,
) -> list[dict]:
    """Write the folder of a finished run, and return its records.

    Args:
      asks: what answers, by default the method. said: what becomes of a text.
    """
    name = f"seed{seed}/{method}{'_' if variant else ''}{variant}"
    folder = workdir / name / "eval" / "candidates" / "test"
    record = {
        "schema": 1,
        "method": method,
        "seed": seed,
        "status": "finished",
        "protocol": "candidates",
        "checkpoint_digest": f"digest of {name}",
        "data_fingerprint": benchmark.fingerprint,
        "config": {
            "benchmark": {"name": "msr", "data_dir": "nowhere", "config": "micro"}
            | (section or {}),
            "objective": {"name": method, "variant": variant},
            "preferences": {"form": reading.preferences.form, "block": reading.preferences.block},
            "prompts": {"candidate": reading.prompts.candidate, "history": reading.prompts.history},
        },
        "cost": {"steps": 1200, "seconds": 81.0, "parameters": 1_400_000},
        "environment": {},
    }  # fmt: skip
    write_json(workdir / name / "run.json", record)
    protocol = Protocol(reading=reading)
    questions = Questions(
        rounds(benchmark, protocol),
        {"protocol": protocol.digest_fields(), "reading": reading.digest_fields()},
        records_of,
    )
    subject = asks or answerer(method, benchmark, seed, said)
    writer = Invented(benchmark, (0.0, 0.0), seed, said)
    manifest = {key: record[key] for key in ("checkpoint_digest", "data_fingerprint")}
    records = ask(questions, {"subject": subject, "summariser": writer}, folder, manifest)
    entry = {key: record[key] for key in ("method", "seed", "checkpoint_digest", "protocol")}
    results = {
        "schema": 1,
        "benchmark": "msr",
        "axes": list(AXES),
        "runs": [{**entry, "scores": scores_of(records), "cost": record["cost"]}],
        "environment": {},
    }
    write_json(folder.parent / "results.json", results)
    seal_results(folder.parent / "results.json", "test")
    return records


def write_trials(workdir: Path, method: str = "sasrec", seed: int = 0) -> None:
    """Write what the tuning of a baseline leaves."""
    folder = workdir / f"seed{seed}" / method / "trained" / "ab12"
    trials = [
        {
            "options": {"learning_rate": rate, "dropout": 0.1},
            "validation": {"auc_pooled": auc, "hr@5": auc - 0.2, "mrr@5": auc - 0.3},
        }
        for rate, auc in ((1e-3, 0.71), (3e-3, 0.74))
    ]
    folder.mkdir(parents=True)
    write_sealed(folder / "trials.json", {"source": {}, "trials": trials, "chosen": 1})


def scores_by_hand(records) -> tuple[np.ndarray, list[str]]:
    """Return (scores [U, C] with the target first, users) of records."""
    users: dict[str, list[dict]] = {}
    for record in records:
        users.setdefault(record["user"], []).append(record)
    rows = [sorted(found, key=lambda r: r["label"] != "1") for found in users.values()]
    return np.array([[r["score"] for r in row] for row in rows]), list(users)
