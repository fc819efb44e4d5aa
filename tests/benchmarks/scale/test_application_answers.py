"""Recompute the answers of the application suites from the truth of their pictures."""

import json
import random

import pytest

from mllm.benchmarks.scale.generators import GENERATORS
from mllm.benchmarks.scale.taxonomy import APPLICATION_CELLS

DRAWS = 40
SIDE = 16  # answers do not depend on it
DECISIONS = {
    "red light": "stop", "person": "stop", "stop sign": "stop", "green light": "drive on",
    "free road": "drive on", "left sign": "turn left", "right sign": "turn right",
}  # fmt: skip


def only_image(truths, holds):
    """Return the option that names the only image for which something holds."""
    (place,) = [k for k, truth in enumerate(truths) if holds(truth)]
    return f"image {place + 1}"


def fault(ask, pictures):
    return pictures[0]["fault"]


def faulty_part(ask, pictures):
    return only_image(pictures, lambda truth: truth["fault"] != "no fault")


def by_example(ask, pictures):
    normal, faulty, new = pictures
    (look,) = [key for key in normal if normal[key] != faulty[key]]
    return "normal" if new[look] == normal[look] else "faulty"


def read_gauge(ask, pictures):
    return str(pictures[0]["step"] * pictures[0]["mark"])


def gauge_alarm(ask, pictures):
    red = [truth["mark"] >= ask["red from"] for truth in pictures]
    assert red == sorted(red)
    return str(red.index(True) * ask["interval"])


def missing_gear(ask, pictures):
    missing = set(ask["gear"]) - set(pictures[0]["wears"])
    return missing.pop() if missing else "nothing"


def worker_without(ask, pictures):
    return only_image(pictures, lambda truth: ask["gear"] not in truth["wears"])


def sign(ask, pictures):
    return pictures[0]["sign"]


def find_sign(ask, pictures):
    return only_image(pictures, lambda truth: truth["sign"] == ask["sign"])


def damage(ask, pictures):
    (where,) = pictures[0]["damage"]
    return where


def new_damage(ask, pictures):
    (where,) = set(pictures[1]["damage"]) - set(pictures[0]["damage"])
    return where


def report_fits(ask, pictures):
    return "yes" if new_damage(ask, pictures) == ask["claimed"] else "no"


def decision(ask, pictures):
    return DECISIONS[pictures[0]["scene"]]


def follow(ask, pictures):
    change = pictures[-1]["width"] - pictures[0]["width"]
    return "brake" if change > 0 else "speed up" if change < 0 else "keep speed"


SOLVERS = {
    ("industry", "single", "defect"): fault,
    ("industry", "multi", "defect"): faulty_part,
    ("industry", "interleaved", "defect"): by_example,
    ("industry", "single", "gauge"): read_gauge,
    ("industry", "frames", "gauge"): gauge_alarm,
    ("industry", "single", "equipment"): missing_gear,
    ("industry", "multi", "equipment"): worker_without,
    ("driving", "single", "signs"): sign,
    ("driving", "multi", "signs"): find_sign,
    ("driving", "single", "damage"): damage,
    ("driving", "multi", "damage"): new_damage,
    ("driving", "interleaved", "damage"): report_fits,
    ("driving", "single", "decision"): decision,
    ("driving", "frames", "decision"): follow,
}


def test_every_application_has_a_solver():
    assert set(SOLVERS) == set(APPLICATION_CELLS)


@pytest.mark.parametrize("cell", SOLVERS, ids="/".join)
def test_answers_follow_from_the_scene(cell):
    for seed in range(DRAWS):
        draft = GENERATORS[cell](random.Random(seed), SIDE)
        scene = json.loads(json.dumps(draft.scene))
        assert SOLVERS[cell](scene["ask"], scene["pictures"]) == draft.answers[0], (seed, scene)
        assert SOLVERS[cell](scene["ask"], scene["twin"]) == draft.twin_answers[0], (seed, scene)
