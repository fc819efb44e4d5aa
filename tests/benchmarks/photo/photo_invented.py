"""An invented study: the real protocol, records and scores, and answers whose quality is known.

Nothing is trained: a method answers a question right with a chance of its own. All methods of a
seed share the draws, so one with a higher chance is never worse, whatever the questions are.
"""

import random
from pathlib import Path

import numpy as np

from mllm.benchmarks.photo import brackets
from mllm.benchmarks.photo.album import Album
from mllm.benchmarks.photo.protocol import Protocol, gold, rounds
from mllm.benchmarks.photo.records import records_of
from mllm.benchmarks.photo.scores import AXES, scores_of
from mllm.evaluation.looks import Looks, write_looks
from mllm.evaluation.request import Choices, Questions, Reply, Request
from mllm.evaluation.store import ask
from mllm.files import write_json
from tests.sealing import seal_results

ENCODERS = ("colour", "edges")
LAYERS, SETS, GRID, SHOWN = 2, 3, 4, 200
# Method -> how it joins the encoders, and its chance of a right answer.
METHODS = {
    "fused": (dict(gate="text+vision", bank_on=True), 0.9),
    "joint": (dict(gate="joint", bank_on=True), 0.8),
    "unguided": (dict(gate="vision", bank_on=False), 0.7),
    "colour": (dict(gate="fixed:colour", bank_on=True), 0.5),
    "edges": (dict(gate="fixed:edges", bank_on=True), 0.4),
}
CONTROLS = {"blind": 0.25, "blank": 0.25, "wrong_photo": 0.25}
BRACKETS = ("oracle", "random")
PROTOCOL = Protocol(letters=4, critiques=6)


class Invented:
    """Answer right with a chance of one's own, and criticise by a part of the record."""

    def __init__(self, album: Album, name: str, chance: float, said=str):
        self.album, self.name, self.chance, self.said = album, name, chance, said
        self.identity = {"invented": name, "chance": chance}

    def answer(self, requests, done):
        yield [self._reply(request) for request in requests if request.key not in done]

    def _reply(self, request: Request) -> Reply:
        tags = request.tags
        if tags["reading"] == "critique":
            critique = self.album.photo(tags["photo"]).critique
            return Reply(request.key, text=self.said(getattr(critique, tags["part"])))
        drawn = random.Random(f"{self.name}:{tags['question']}")
        right = drawn.random() < self.chance
        answer = gold(request)
        if not isinstance(request.ask, Choices):
            return Reply(request.key, text=self.said(answer if right else "none of them"))
        texts = list(request.ask.texts)
        wrong = [text for text in texts if text != answer]
        chosen = answer if right else drawn.choice(wrong)
        logprobs = tuple(-0.5 if text == chosen else -3.0 for text in texts)
        return Reply(request.key, logprobs=logprobs, tokens=(1,) * len(texts))


def answerer(method: str, album: Album, seed: int, said=str, chance: float | None = None):
    """Return what answers for a method; oracle and random are the real ones."""
    if method == "oracle":
        return brackets.oracle(album)
    if method == "random":
        return brackets.guessing(album, seed)
    known = {**{name: found for name, (_, found) in METHODS.items()}, **CONTROLS}
    chance = known.get(method, 0.6) if chance is None else chance
    return Invented(album, f"seed {seed}", chance, said)


def write_run(
    workdir: Path,
    method: str,
    benchmark,
    *,
    seed: int = 0,
    variant: str = "",
    protocol: Protocol = PROTOCOL,
    chance: float | None = None,
    said=str,
    looks: bool = True,
    steps: int = 300,
    section: dict | None = None,
) -> list[dict]:
    """Write the folder of a finished run, and return its records.

    Args:
      said: what becomes of a text. looks: whether gates and attention are written for a model.
    """
    name = f"seed{seed}/{method}{'_' if variant else ''}{variant}"
    folder = workdir / name / "eval" / protocol.name / "test"
    trained = method in METHODS or method.startswith("gate_")
    record = {
        "schema": 1,
        "method": method,
        "seed": seed,
        "status": "finished",
        "protocol": protocol.name,
        "checkpoint_digest": f"digest of {name}",
        "data_fingerprint": benchmark.fingerprint,
        "parent": f"seed{seed}/align",
        "config": {
            "benchmark": {"name": "photo", "data_dir": "nowhere", "config": "micro"}
            | (section or {}),
            "objective": {"name": method, "variant": variant},
            "model": {"changed": variant},
            "methods": {
                **{name: fusion for name, (fusion, _) in METHODS.items()},
                "dinov2": {"gate": "fixed:dinov2"},
            },
        },
        "cost": {"steps": steps, "seconds": 30.0, "parameters": 1_000_000, "trainable": 800_000}
        if trained
        else {},
        "environment": {},
    }
    write_json(workdir / name / "run.json", record)
    photos = benchmark.photos("test")
    album = Album(photos, 0)
    questions = Questions(
        rounds(photos, protocol),
        {"protocol": protocol.digest_fields()},
        lambda answered: records_of(answered, album),
    )
    manifest = {key: record[key] for key in ("checkpoint_digest", "data_fingerprint")}
    subject = answerer(method, album, seed, said, chance)
    records = ask(questions, {"subject": subject}, folder, manifest)
    if looks and (method in METHODS or method in CONTROLS):
        invent_looks(folder, records, seed)
    entry = {key: record[key] for key in ("method", "seed", "checkpoint_digest", "protocol")}
    results = {
        "schema": 1,
        "benchmark": "photo",
        "axes": list(AXES),
        "runs": [{**entry, "scores": scores_of(records), "cost": record["cost"]}],
        "environment": {},
    }
    write_json(folder.parent / "results.json", results)
    seal_results(folder.parent / "results.json", "test")
    return records


def gates_by_hand(record: dict, seed: int) -> np.ndarray:
    """Return the invented gates of a question, float32[layers, encoders]."""
    drawn = random.Random(f"{seed}:{record['key']}")
    high = 0.8 if record.get("topic") == "Color" else 0.3
    shares = [min(max(high + drawn.gauss(0, 0.05), 0), 1) for _ in range(LAYERS)]
    return np.array([[share, 1 - share] for share in shares], np.float32)


def invent_looks(folder: Path, records: list[dict], seed: int) -> None:
    """Write the gates of all questions, and the attention of some."""
    asked = [record for record in records if record["reading"] == "text"]
    gates = np.stack([gates_by_hand(record, seed) for record in asked])
    bank = np.full((len(asked), SETS), 1 / SETS, np.float32)
    shown = np.arange(min(SHOWN, len(asked)), dtype=np.int32)
    maps = np.random.default_rng(seed).random((len(shown), LAYERS, GRID, GRID), np.float32)
    attention = {name: maps / maps.sum((2, 3), keepdims=True) for name in ENCODERS}
    keys = tuple(record["key"] for record in asked)
    write_looks(folder, Looks(keys, ENCODERS, gates, bank, shown, attention), "invented")
