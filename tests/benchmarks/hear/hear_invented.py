"""An invented study: the real protocol, records and scores, and answers whose quality is known.

Nothing is trained: a method answers a question right with a chance of its own, which depends on the
relation and the condition. Methods of a seed share the draws, so one with a higher chance is never
worse.
"""

import io
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile

from mllm.benchmarks.hear import brackets
from mllm.benchmarks.hear.prompts import caption_of
from mllm.benchmarks.hear.protocol import Protocol, rounds
from mllm.benchmarks.hear.records import records_of
from mllm.benchmarks.hear.representation.measure import NAME
from mllm.benchmarks.hear.scores import AXES, scores_of
from mllm.data.conversation import audio
from mllm.evaluation.inspection import Inspection, write_inspection
from mllm.evaluation.request import Questions, Reply, Request
from mllm.evaluation.store import ask
from mllm.evaluation.yes_no import YES
from mllm.files import read_json, without_seal, write_json
from tests.benchmarks.hear.toy_clips import toy_benchmark
from tests.sealing import seal_results

PROTOCOL = Protocol(per_label=4)
ABOVE = ("synonym", "parent", "grandparent")


def captions(relation: str, condition: str) -> float:
    """Knows kinds from words, and not from sounds."""
    if condition in ("A", "R"):
        return 0.6 if relation in ABOVE else 0.92
    return 0.97


def facts(relation: str, condition: str) -> float:
    """Knows parents from sounds too."""
    return 0.9 if relation == "parent" else captions(relation, condition)


METHODS: dict[str, Callable[[str, str], float]] = {"captions": captions, "facts": facts}
CONTROLS = {
    "blind": lambda relation, condition: 0.5 if condition in ("A", "R") else 0.97,
    "before": lambda relation, condition: 0.5 if condition in ("A", "R") else 1.0,
}
BRACKETS = ("oracle", "always_yes", "random", "prior")
CLASS = 0.85  # chance of the right class of a model


def benchmark() -> SimpleNamespace:
    """Return a few clips of each leaf of a small ontology, with tones as sounds."""
    found = toy_benchmark(each=4)
    clips = {
        split: [
            replace(clip, sound=_tone(number)) for number, clip in enumerate(found.clips(split))
        ]
        for split in found.splits
    }
    terms = {"licences": {"tones": "CC0"}, "citation": "made up"}
    known = {"clips": clips.__getitem__, "fingerprint": "f" * 64, "info": terms}
    return SimpleNamespace(**vars(found) | known)


def _tone(number: int):
    samples = 0.3 * np.sin(2 * np.pi * (300 + 20 * number) * np.arange(3200) / 16_000)
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="FLAC")
    return audio(file.getvalue())


class Invented:
    """Answer right with a chance of one's own.

    Args:
      said: what becomes of a caption.
    """

    def __init__(self, leaves, method: str, seed: int, said=str):
        self.leaves, self.seed, self.said = leaves, seed, said
        self.chance = {**METHODS, **CONTROLS}[method]
        self.classes = CLASS if method in METHODS else 0.0
        self.identity = {"invented": method, "seed": seed}

    def answer(self, requests, done):
        yield [self._reply(request) for request in requests if request.key not in done]

    def _reply(self, request: Request) -> Reply:
        tags = request.tags
        if "relation" in tags:
            drawn = random.Random(f"{self.seed} {tags['clip']} {tags['term']} {tags['condition']}")
            right = drawn.random() < self.chance(tags["relation"], tags["condition"])
            yes = tags["yes"] == right
            logprobs = [-1.0 if (text in YES) == yes else -3.0 for text in request.ask.texts]
            return Reply(request.key, logprobs=tuple(logprobs), tokens=(1,) * len(logprobs))
        drawn = random.Random(f"{self.seed} {tags['clip']}")  # the same class in all tasks
        right = drawn.random() < self.classes
        chosen = tags["tags"][0] if right else drawn.choice(self.leaves)
        if tags["task"] == "caption":
            return Reply(request.key, text=self.said(caption_of((chosen,))))
        logprobs = [-0.5 if text == chosen else -4.0 for text in request.ask.texts]
        return Reply(request.key, logprobs=tuple(logprobs), tokens=(1,) * len(logprobs))


def answerer(method: str, benchmark, seed: int, said=str):
    """Return what answers for a method; brackets are the real ones."""
    if method == "random":
        return brackets.guessing(benchmark, seed)
    if method in BRACKETS:
        return getattr(brackets, method)(benchmark)
    return Invented(benchmark.ontology.leaves, method, seed, said)


def write_run(workdir: Path, method: str, benchmark, *, seed: int = 0, said=str) -> list[dict]:
    """Write the folder of a finished run, and return its records.

    Args:
      said: what becomes of a caption and of a word.
    """
    name = f"seed{seed}/{method}"
    folder = workdir / name / "eval" / PROTOCOL.name / "test"
    record = {
        "schema": 1,
        "method": method,
        "seed": seed,
        "status": "finished",
        "protocol": PROTOCOL.name,
        "checkpoint_digest": f"digest of {name}",
        "data_fingerprint": benchmark.fingerprint,
        "config": {"benchmark": {"name": "hear", "data_dir": "nowhere", "config": "toy"}},
        "cost": {"steps": 300, "seconds": 30.0, "parameters": 1_000_000, "trainable": 800_000}
        if method in METHODS
        else {},
        "environment": {},
    }
    write_json(workdir / name / "run.json", record)
    questions = Questions(
        rounds(benchmark, PROTOCOL),
        {"protocol": PROTOCOL.digest_fields()},
        lambda answered: records_of(answered, benchmark.ontology, benchmark.rare),
    )
    manifest = {key: record[key] for key in ("checkpoint_digest", "data_fingerprint")}
    records = ask(questions, {"subject": answerer(method, benchmark, seed, said)}, folder, manifest)
    entry = {key: record[key] for key in ("method", "seed", "checkpoint_digest", "protocol")}
    results = {
        "schema": 1,
        "benchmark": "hear",
        "axes": list(AXES),
        "runs": [{**entry, "scores": scores_of(records), "cost": record["cost"]}],
        "environment": {},
    }
    write_json(folder.parent / "results.json", results)
    seal_results(folder.parent / "results.json", "test")
    if method in METHODS:
        kept = without_seal(read_json(folder / "manifest.json"))
        found = invented_states(benchmark.ontology, seed, said)
        write_inspection(folder, Inspection(NAME, lambda model: found), found, kept)
    return records


def invented_states(ontology, seed: int, said=str) -> dict:
    """Return what is measured of states: probes transfer less from layer to layer."""
    layers, leaves, rng = [0, 1, 2, 3], list(ontology.leaves), np.random.default_rng(seed)
    rows = {"layers": layers, "leaves": leaves, "probes": [], "alignment": [], "plane": []}
    for place in ("concept", "reply"):
        for layer in layers:
            where = {"place": place, "layer": layer}
            for level, chance in (("leaf", 1 / len(leaves)), ("parent", 0.15)):
                for learned, asked, accuracy in (
                    ("text", "words", 0.99), ("text", "synonyms", 0.8), ("sounds", "sounds", 0.9),
                    ("text", "sounds", 0.5 - 0.1 * layer), ("sounds", "words", 0.4),
                ):  # fmt: skip
                    across = (learned == "sounds") != (asked == "sounds")
                    for scaling in ("shared", "own") if across else ("shared",):
                        rows["probes"].append(
                            {**where, "level": level, "learned": learned, "asked": asked,
                             "scaling": scaling, "n": 40, "accuracy": accuracy, "chance": chance,
                             "low": accuracy - 0.05, "high": min(accuracy + 0.05, 1.0)}
                        )  # fmt: skip
            cka = {"cka": 0.6 - 0.1 * layer, "shuffled": 0.0, "shuffled_high": 0.1}
            rows["alignment"].append({**where, "n": len(leaves), **cka})
            for leaf in leaves if layer != 1 else ():
                kind = [leaf, *ontology.ancestors(leaf)][-1]
                points = {"text": rng.normal(size=2).tolist(), "sound": rng.normal(size=2).tolist()}
                rows["plane"].append({**where, "leaf": leaf, "kind": kind, "share": 0.5, **points})
    rows["words"] = [
        {"leaf": leaf, "n": 50, "words": [[said("whistle"), 0.5], [leaf, 0.25]], "named": 0.25,
         "others": 0.01}
        for leaf in leaves
    ]  # fmt: skip
    return rows
