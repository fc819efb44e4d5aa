"""Recompute the answers of recognition, counting, relations and documents from their scenes."""

import io
import random
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mllm.benchmarks.scale.draw import COLOURS
from mllm.benchmarks.scale.generators import GENERATORS

DRAWS = 60
SIDE = 16  # answers do not depend on it


def recognition_single(ask, pictures):
    (truth,) = pictures
    return truth["thing"] if ask["what"] == "thing" else truth["badge"]["shape"]


def recognition_multi(ask, pictures):
    things = [truth["thing"] for truth in pictures]
    (odd,) = [thing for thing, count in Counter(things).items() if count == 1]
    return str(things.index(odd) + 1)


def recognition_frames(ask, pictures):
    changed = {key for key in pictures[0] if len({str(truth[key]) for truth in pictures}) > 1}
    (what,) = changed
    if what == "size":
        return "grows" if pictures[0]["size"] < pictures[-1]["size"] else "shrinks"
    return {"turn": "spins", "y": "jumps", "x": "slides", "colour": "blinks"}[what]


def recognition_interleaved(ask, pictures):
    *examples, last = [truth["thing"] for truth in pictures]
    return ask["names"][examples.index(last)]


def matching(truth, **wanted):
    return [m for m in truth["marks"] if all(m[key] == wanted[key] for key in wanted)]


def counting_single(ask, pictures):
    found = matching(pictures[0], shape=ask["shape"], colour=ask["colour"])
    if ask["what"] == "count":
        return str(len(found))
    (m,) = found
    half = m["size"] // 2
    return f"[{m['x'] - half}, {m['y'] - half}, {m['x'] + half}, {m['y'] + half}]"


def counting_multi(ask, pictures):
    counts = [len(matching(truth, shape=ask["shape"])) for truth in pictures]
    extreme = max(counts) if ask["what"] == "most" else min(counts)
    assert counts.count(extreme) == 1
    return str(counts.index(extreme) + 1)


def counting_frames(ask, pictures):
    return str(sum(truth["on"] for truth in pictures))


def counting_interleaved(ask, pictures):
    (wanted,) = pictures[0]["marks"]
    return str(len(matching(pictures[1], shape=wanted["shape"], colour=wanted["colour"])))


def side_of(first, second, names=("left", "right", "above", "below")):
    dx, dy = first["x"] - second["x"], first["y"] - second["y"]
    if abs(dx) > abs(dy):
        return names[0] if dx < 0 else names[1]
    return names[2] if dy < 0 else names[3]


def relations_single(ask, pictures):
    (m,) = matching(pictures[0], shape=ask["shape"])
    if ask["what"] == "colour":
        return m["colour"]
    return side_of(m, *matching(pictures[0], shape=ask["of"]))


def relations_multi(ask, pictures):
    before, after = (truth["marks"] for truth in pictures)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    if ask["what"] == "same":
        return "no" if changed else "yes"
    ((old, new),) = changed
    if ask["what"] == "corner":
        row = "top" if old["y"] < 50 else "bottom"
        return f"{row} {'left' if old['x'] < 50 else 'right'}"
    keys = {"x": "place", "y": "place"}
    (change,) = {keys.get(key, key) for key in old if old[key] != new[key]}
    return change


def relations_frames(ask, pictures):
    assert len({str(truth["still"]) for truth in pictures}) == 1
    return side_of(pictures[-1], pictures[0], ("left", "right", "up", "down"))


def relations_interleaved(ask, pictures):
    sides = []
    for truth in pictures:
        small, big = sorted(truth["marks"], key=lambda m: m["size"])
        sides.append(side_of(small, big))
    return "ABC"[sides[1:].index(sides[0])]


def documents_single(ask, pictures):
    (truth,) = pictures
    if ask["what"] == "word":
        return truth["text"]
    if ask["what"] == "value":
        return str(dict(truth["bars"])[ask["colour"]])
    if ask["what"] in ("highest", "lowest"):
        pick = max if ask["what"] == "highest" else min
        return pick(truth["bars"], key=lambda bar: bar[1])[0]
    if ask["what"] in ("largest", "smallest"):
        assert sum(share for _, share in truth["parts"]) == 100
        pick = max if ask["what"] == "largest" else min
        return pick(truth["parts"], key=lambda part: part[1])[0]
    if ask["what"] == "cell":
        row, column = truth["rows"].index(ask["row"]), truth["columns"].index(ask["column"])
        return truth["cells"][row][column]
    return dict(truth["lines"])[ask["good"]]


def documents_multi(ask, pictures):
    (page,) = [k for k, truth in enumerate(pictures) if truth["word"] == ask["word"]]
    return str(page + 1) if ask["what"] == "page" else pictures[page]["digit"]


def documents_frames(ask, pictures):
    word = pictures[0]["letters"]
    for truth in pictures[1:]:
        assert word.endswith(truth["letters"][:2])
        word += truth["letters"][-1]
    return word


def documents_interleaved(ask, pictures):
    note, form = pictures
    return dict(form["form"])[note["note"]]


ORACLES = {
    ("general", form, capability): globals()[f"{capability}_{form}"]
    for capability in ("recognition", "counting", "relations", "documents")
    for form in ("single", "multi", "frames", "interleaved")
}


@pytest.mark.parametrize("cell", ORACLES, ids="/".join)
def test_the_answer_follows_from_the_scene(cell):
    for seed in range(DRAWS):
        draft = GENERATORS[cell](random.Random(seed), SIDE)
        for truths, answers in (("pictures", draft.answers), ("twin", draft.twin_answers)):
            assert ORACLES[cell](draft.scene["ask"], draft.scene[truths]) == answers[0]


def test_a_box_surrounds_what_the_picture_shows():
    """The pixels of the asked colour lie in the answer's box, and fill it."""
    seen = 0
    for seed in range(40):
        draft = GENERATORS[("general", "single", "counting")](random.Random(seed), 64)
        ask, marks = draft.scene["ask"], draft.scene["pictures"][0]["marks"]
        if ask["what"] != "box" or marks[1]["colour"] == ask["colour"] or ask["colour"] == "black":
            continue  # outlines are nearly black
        with Image.open(io.BytesIO(draft.pictures[0])) as image:
            pixels = np.asarray(image, int)
        code = COLOURS[ask["colour"]]
        rgb = [int(code[k : k + 2], 16) for k in (1, 3, 5)]
        rows, columns = np.nonzero((np.abs(pixels - rgb) < 8).all(-1))
        shown = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 0.64
        box = np.array([int(x) for x in draft.answers[0].strip("[]").split(",")])
        low, high = np.maximum(shown[:2], box[:2]), np.minimum(shown[2:], box[2:])
        shared = (high - low).prod()
        union = (shown[2:] - shown[:2]).prod() + (box[2:] - box[:2]).prod() - shared
        assert shared / union > 0.5, draft.scene
        seen += 1
    assert seen >= 10
