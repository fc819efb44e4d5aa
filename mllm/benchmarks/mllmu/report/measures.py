"""The measures of answers token by token, and how far each model is from retain-only."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.mllmu import measured
from mllm.benchmarks.mllmu.measures import NAME
from mllm.benchmarks.mllmu.report.layout import SETS
from mllm.evaluation.inspection import read_inspection
from mllm.files import read_jsonl
from mllm.reporting.comparison import Comparison
from mllm.reporting.numbers import points
from mllm.reporting.runs import Run
from mllm.reporting.section import Block, Grid, Heading, Paragraph
from mllm.reporting.text import join_words

# Title of a table -> key of a measure -> its heading.
TABLES = {
    "Distance to retain-only": {
        "distance": "Distance",
        "statistic": "KS D",
        "log10_p": "log10 p",
        "divergence": "JS",
    },
    "What is still known of the forget set": {
        "probability": "Probability",
        "among": "Among answers",
        "truth_ratio": "Truth ratio",
        "exact_memorisation": "Memorised",
        "extraction_strength": "Extracted",
    },
    "Membership AUC, forget set against strangers": {
        "loss": "Loss",
        "zlib": "Zlib",
        "min_k": "Min-K%",
        "min_k_plus_plus": "Min-K%++",
        "reference": "Reference",
        "privacy_leak": "PrivLeak",
    },
    "Utility and fluency": {
        "utility": "Utility",
        "distinct_forget": "Distinct-2, forget",
        "distinct_retain": "Distinct-2, retain",
        "repetition_forget": "Repetition, forget",
        "repetition_retain": "Repetition, retain",
    },
}
PLAIN = ("log10_p", "privacy_leak")  # not fractions of 1
NOTES = {
    "Distance to retain-only": (
        "Distance: mean absolute difference of the probability of the right answer from that of "
        "retain-only, question by question on the forget set (0: as if never learned). KS D and "
        "log10 p: forget quality, the two-sample Kolmogorov-Smirnov test on truth ratios; JS: "
        "Jensen-Shannon divergence of their distributions, in bits. All but log10 p times 100. "
        "Questions about one person are not independent, so p is too small; compare D."
    ),
    "What is still known of the forget set": (
        "Times 100. Probability: per token of the right answer, geometric mean; among answers: "
        "its share among right and wrong answers. Truth ratio: 100 where right and wrong answers "
        "cannot be told apart. Memorised: tokens that are the likeliest next one; extracted: the "
        "share of an answer that follows from the rest of it."
    ),
    "Membership AUC, forget set against strangers": (
        "Times 100: 50 if answers about people to forget look like those about people whom no "
        "model was taught, 100 if they still look learned, 0 if they look less likely than those "
        "of strangers. Reference: loss less that of retain-only. PrivLeak: of Min-K%, in percent "
        "of retain-only’s; below 0 still learned, above 0 forgotten too far."
    ),
    "Utility and fluency": (
        "Times 100. Utility: harmonic mean over retain and celebrity of probability, ROUGE-L and "
        "truth ratio; 0 if one of them is 0. Distinct-2: different pairs of words among all in "
        "the replies; repetition: pairs that occurred before in the same reply."
    ),
}
_MISSING = (
    "Answers were not measured for {}: evaluate with --config.evaluation.measures=True. Methods "
    "that answer through another model have none."
)
Rows = Sequence[Mapping[str, Any]]


def measure_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return tables of measures, means over seeds; nothing where no run was measured."""
    found = {
        key: [(run, rows) for run in runs if (rows := _rows(run)) is not None]
        for key, runs in comparison.runs.items()
    }
    if not any(found.values()):
        return ()
    target = comparison.key("retain_only")
    references = {run.seed: rows for run, rows in found.get(target, ())}
    means = {
        key: _mean([_summary(run, rows, references.get(run.seed, ())) for run, rows in seeds])
        for key, seeds in found.items()
        if seeds
    }
    blocks: list[Block] = []
    for title, measures in TABLES.items():
        rows = tuple(
            (comparison.label(key), *(_said(name, mean[name]) for name in measures))
            for key, mean in means.items()
        )
        grid = Grid(title, ("Method", *measures.values()), rows)
        blocks += [Heading(title), grid, Paragraph(NOTES[title], note=True)]
    if missing := [comparison.label(key) for key in found if not found[key]]:
        blocks.append(Paragraph(_MISSING.format(join_words(missing)), note=True))
    return tuple(blocks)


def _rows(run: Run) -> Rows | None:
    kept = read_inspection(run.records_path.parent, NAME, run.manifest)
    return None if kept is None else kept["questions"]


def _summary(run: Run, rows: Rows, reference: Rows) -> measured.Measures:
    """Return all measures of a run, beside retain-only of the same seed."""
    records, fluency = read_jsonl(run.records_path), {}
    for name in ("forget", "retain"):
        of_set = measured.fluency(records, name)
        fluency |= {f"{measure}_{name}": value for measure, value in of_set.items()}
    rouge = {name: _rouge(run, name) for name in SETS.labels}
    return {
        **measured.known(rows),
        **measured.beside(rows, reference),
        **measured.learned(rows, reference),
        **fluency,
        "utility": measured.utility(rows, rouge),
    }


def _rouge(run: Run, name: str) -> float | None:
    """Return ROUGE-L of the free sentences about a set, the mean over both modalities."""
    values = [
        score["value"]
        for score in run.scores
        if (score["set"], score["metric"]) == (name, "rougeL") and score["value"] is not None
    ]
    return float(np.mean(values)) if values else None


def _mean(seeds: Sequence[measured.Measures]) -> measured.Measures:
    """Return the means over seeds; None where no seed has a value."""
    found = {name: [one[name] for one in seeds if one[name] is not None] for name in seeds[0]}
    return {name: float(np.mean(values)) if values else None for name, values in found.items()}


def _said(name: str, value: float | None) -> str:
    if name not in PLAIN or value is None:
        return points(value)
    return f"{round(value, 1) + 0:.1f}".replace("-", "−")  # without a sign at 0
