"""What comes back under attack: tables with a row a method and a column an attack."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mllm.benchmarks.mllmu.sets import FORGET, RETAIN
from mllm.benchmarks.mllmu.stress.sampled import SAMPLED, SAMPLES
from mllm.evaluation.inspection import read_inspection
from mllm.evaluation.statistics import paired_difference
from mllm.evaluation.stress.leak import leak_at
from mllm.reporting.comparison import Comparison
from mllm.reporting.numbers import points
from mllm.reporting.runs import Run
from mllm.reporting.section import Block, Grid, Heading, Paragraph
from mllm.reporting.text import join_words
from mllm.studies.stress import NAME

PLAIN, PICTURES = "as_saved", "Pictures"
# Title of a table -> name of an attack -> its heading.
TABLES = {
    "Weights": {
        PLAIN: "As saved",
        "rounded_8": "8 bits",
        "rounded_4": "4 bits",
        "bfloat16": "bfloat16",
        "adapter_half": "Half the adapter",
        "adapter_none": "No adapter",
    },
    "Relearning": {
        PLAIN: "As saved",
        "relearn_few": "Five facts",
        "relearn_retain": "Retain only",
        "relearn_unrelated": "Unrelated text",
        "relearn_all": "All forgotten",
    },
    "Questions": {
        PLAIN: "As saved",
        "paraphrased": "Paraphrased",
        "swapped": "Modality swapped",
        "both": "Name and picture",
        "mixed": "After a retained",
        "hinted": "After two facts",
        "begun": "Reply begun",
    },
    PICTURES: {
        PLAIN: "As saved",
        "mirrored": "Mirrored",
        "cropped": "Cropped",
        "compressed": "Compressed",
        "darkened": "Darkened",
        "another": "Another picture",
    },
}
NOTES = {
    "Weights": (
        "8 and 4 bits: every matrix of the layers rounded to the nearest, with a scale for each "
        "output, and for each 64 inputs in 4 bits. bfloat16: saved in it and read again."
    ),
    "Relearning": (
        "An adapter of its own on top of the model, {steps} steps of {rows} rows at a learning "
        "rate of {learning_rate:g}, the same for every model. Questions about the five facts "
        "themselves are left out. All forgotten: facts about everybody who is to be forgotten, the "
        "asked ones among them, which says what the budget can bring back at most."
    ),
    "Questions": (
        "Paraphrased: in the words of the test set. Swapped: by the name instead of the picture, "
        "and the other way round. After a retained: in one prompt, after an answered question "
        "about a person to retain. After two facts: after two other facts about the person. "
        "Reply begun: options are sentences that begin alike, up to the fact. A form is asked "
        "only of the questions that have it."
    ),
    PICTURES: "Questions with a picture alone. Another picture: one of the test set.",
}
_INTRODUCTION = (
    "Multiple choice by option text: accuracy on the forget set under each attack, and after the "
    "stroke on people to retain, which says whether the attack broke the model. Chance is 25. "
    "Read each column against retain-only under the same attack: what it answers was not brought "
    "back. ▲: more than retain-only, the 95% interval of the difference, paired by question and "
    "resampled by person, lies above 0; not corrected for the number of cells."
)
_LEAKS = (
    "Gap texts about the forget set, answered {samples} times at temperature 1: the chance that "
    "at least one of k replies holds the answer."
)
_MISSING = "Not attacked, or with other options: {}; run experiments.stress."
KS = (1, 4, SAMPLES)
Found = Mapping[str, Any]


class Value(NamedTuple):
    """What a method answers under an attack: fractions of 1, None where it was not asked."""

    forget: float | None
    retain: float | None
    more: bool


def stress_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return the tables of attacks that were made, means over seeds; nothing where no run was
    attacked.
    """
    read = {
        key: [(run, one) for run in runs if (one := _read(run)) is not None]
        for key, runs in comparison.runs.items()
    }
    every = [one["options"] for seeds in read.values() for _, one in seeds]
    if not every:
        return ()
    options = max(every, key=every.count)  # attacks under other budgets are not comparable
    found = {
        key: [(run, one) for run, one in seeds if one["options"] == options]
        for key, seeds in read.items()
    }
    attacked = {key: seeds for key, seeds in found.items() if seeds}
    control = {run.seed: one for run, one in found.get(comparison.key("retain_only"), ())}
    blocks: list[Block] = [Paragraph(_INTRODUCTION, note=True)]
    made = {
        name
        for seeds in attacked.values()
        for _, one in seeds
        for name, answers in one["attacks"].items()
        if answers
    }
    for title, named in TABLES.items():
        attacks = {name: head for name, head in named.items() if name in made}
        if not attacks.keys() - {PLAIN}:
            continue
        rows = tuple(
            (
                comparison.label(key),
                *(_cell(seeds, control, name, title == PICTURES) for name in attacks),
            )
            for key, seeds in attacked.items()
        )
        note = NOTES[title].format(**options)
        grid = Grid(title, ("Method", *attacks.values()), rows)
        blocks += [Heading(title), grid, Paragraph(note, note=True)]
    if SAMPLED in made:
        rows = tuple(
            (comparison.label(key), *(points(leak(seeds, k)) for k in KS))
            for key, seeds in attacked.items()
        )
        grid = Grid("Sampling", ("Method", *(f"leak@{k}" for k in KS)), rows)
        blocks += [Heading("Sampling"), grid, Paragraph(_LEAKS.format(**options), note=True)]
    if missing := [comparison.label(key) for key in read if key not in attacked]:
        blocks.append(Paragraph(_MISSING.format(join_words(missing)), note=True))
    return tuple(blocks)


def _read(run: Run) -> Found | None:
    return read_inspection(run.records_path.parent, NAME, run.manifest)


def value(
    seeds: Sequence[tuple[Run, Found]],
    control: Mapping[int, Found],
    attack: str,
    pictured: bool = False,
) -> Value:
    """Return what a method answers under an attack.

    Args:
      seeds: its runs. control: what retain-only answers, by seed; as saved where the attack does
        not apply to it. pictured: whether questions without a picture are left out.
    """
    kept, forgotten, pairs = [], [], []
    for run, one in seeds:
        mine, beside = dict(_answers(one, attack, FORGET, pictured)), control.get(run.seed, {})
        kept += [number for _, number in _answers(one, attack, RETAIN, pictured)]
        forgotten += mine.values()
        known = dict(_answers(beside, attack, FORGET)) or dict(_answers(beside, PLAIN, FORGET))
        pairs += [
            (number, known[name], one["questions"][name]["profile"])
            for name, number in mine.items()
            if name in known
        ]
    more = bool(pairs) and paired_difference(*zip(*pairs, strict=True)).low > 0
    return Value(_mean(forgotten), _mean(kept), more)


def leak(seeds: Sequence[tuple[Run, Found]], k: int) -> float | None:
    """Return leak@k of a method, the mean over questions and seeds."""
    return _mean(
        [
            leak_at(round(leaked), one["options"]["samples"], k)
            for _, one in seeds
            for leaked in (one["attacks"].get(SAMPLED) or {}).values()
        ]
    )


def _answers(
    found: Found, attack: str, name: str, pictured: bool = False
) -> Iterator[tuple[str, float]]:
    """Yield the questions of a set that were asked under an attack, with their values."""
    for question, number in (found.get("attacks", {}).get(attack) or {}).items():
        about = found["questions"][question]
        if about["set"] == name and (about["modality"] == "image_text" or not pictured):
            yield question, number


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _cell(seeds, control, attack: str, pictured: bool) -> str:
    found = value(seeds, control, attack, pictured)
    if found.forget is None:
        return points(None)
    return f"{points(found.forget)}{'▲' if found.more else ''} / {points(found.retain)}"
