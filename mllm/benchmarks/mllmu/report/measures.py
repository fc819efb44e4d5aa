"""The measures of answers token by token, and how far each model is from retain-only."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from mllm.benchmarks.mllmu import likelihood, measured
from mllm.benchmarks.mllmu.measures import NAME
from mllm.benchmarks.mllmu.metrics import rouge_l
from mllm.evaluation.inspection import read_inspection
from mllm.evaluation.review import read_review
from mllm.evaluation.statistics import centred_interval, statistic_interval
from mllm.files import read_jsonl
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Key
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
    "What is still known in other words": {
        "rephrased": "Probability, questions rephrased",
        "truth_ratio_paraphrase": "Truth ratio, answers rephrased",
    },
    "Membership AUC, forget set against strangers": {
        "loss": "Loss",
        "zlib": "Zlib",
        "min_k": "Min-K%",
        "min_k_plus_plus": "Min-K%++",
        "gradient": "GradNorm",
        "reference": "Reference",
        "privacy_leak": "PrivLeak",
    },
    "Utility and fluency": {
        "utility": "Utility",
        "distinct_forget": "Distinct-2, forget",
        "distinct_retain": "Distinct-2, retain",
        "repetition_forget": "Repetition, forget",
        "repetition_retain": "Repetition, retain",
        "base_loss_forget": "Base loss, forget",
        "base_loss_retain": "Base loss, retain",
    },
}
# Not fractions of 1.
PLAIN = ("log10_p", "privacy_leak", "base_loss_forget", "base_loss_retain")
CENTRED = ("statistic", "divergence")  # higher in draws, which repeat people, than in the data
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
    "What is still known in other words": (
        "Times 100. Probability of the right answer to the text-only questions of the test set, "
        "which ask the same as those of the forget set. Truth ratio of the sentences that answer "
        "the forget set, right and wrong ones in words that no training answer has."
    ),
    "Membership AUC, forget set against strangers": (
        "Times 100: 50 if answers about people to forget look like those about people whom no "
        "model was taught, 100 if they still look learned, 0 if they look less likely than those "
        "of strangers. GradNorm: by the norm of the loss’s gradient. Reference: loss less that of "
        "retain-only. PrivLeak: of Min-K%, in percent of retain-only’s; below 0 still learned, "
        "above 0 forgotten too far."
    ),
    "Utility and fluency": (
        "Times 100. Utility: harmonic mean over retain and celebrity of probability, ROUGE-L and "
        "truth ratio; 0 if one of them is 0. Distinct-2: different pairs of words among all in "
        "the replies; repetition: pairs that occurred before in the same reply. Base loss: "
        "negative log-probability per token of the sentences under base, in nats, not times 100; "
        "compare with retain-only."
    ),
}
_INTERVALS = (
    "In brackets: 95% intervals that draw people again, each with all questions about them, over "
    "all seeds."
)
_MISSING = (
    "Answers were not measured for {}: evaluate with --config.evaluation.measures=True. Methods "
    "that answer through another model have none."
)
Rows = Sequence[Mapping[str, Any]]


def measure_blocks(comparison: Comparison) -> tuple[Block, ...]:
    """Return tables of measures, means over seeds with intervals that resample people over all
    seeds; nothing where no run was measured.
    """
    means = {
        key: _mean([measures for _, measures in seeds]) for key, seeds in _drawn(comparison).items()
    }
    if not means:
        return ()
    blocks: list[Block] = [Paragraph(_INTERVALS, note=True)]
    for title, measures in TABLES.items():
        shown = [
            name for name in measures if any(mean[name] is not None for mean in means.values())
        ]
        rows = tuple(
            (comparison.label(key), *(_said(name, mean[name]) for name in shown))
            for key, mean in means.items()
        )
        grid = Grid(title, ("Method", *(measures[name] for name in shown)), rows)
        blocks += [Heading(title), grid, Paragraph(NOTES[title], note=True)]
    if missing := [comparison.label(key) for key in comparison.keys if key not in means]:
        blocks.append(Paragraph(_MISSING.format(join_words(missing)), note=True))
    return tuple(blocks)


def measures_by_run(
    comparison: Comparison,
) -> dict[Key, list[tuple[Run, dict[str, float | None]]]]:
    """Return the measures of each run that was measured, by row of the tables; names are those of
    ``TABLES``.
    """
    return {
        key: [(run, {name: _value(draws) for name, draws in found.items()}) for run, found in seeds]
        for key, seeds in _drawn(comparison).items()
    }


@lru_cache(maxsize=2)  # tables and agreement of one page read it
def _drawn(comparison: Comparison) -> dict[Key, list[tuple[Run, measured.Measures]]]:
    """Return all measures of each run that was measured, beside retain-only of the same seed."""
    found = {
        key: [(run, rows) for run in runs if (rows := _rows(run)) is not None]
        for key, runs in comparison.runs.items()
    }
    references = {run.seed: rows for run, rows in found.get(comparison.key("retain_only"), ())}
    return {
        key: [(run, _summary(run, rows, references.get(run.seed, ()))) for run, rows in seeds]
        for key, seeds in found.items()
        if seeds
    }


def _rows(run: Run) -> Rows | None:
    kept = read_inspection(run.records_path.parent, NAME, run.manifest)
    return None if kept is None else kept["questions"]


def _summary(run: Run, rows: Rows, reference: Rows) -> measured.Measures:
    records, fluency = read_jsonl(run.records_path), {}
    likelihoods = read_review(run.records_path, likelihood.NAME, run.manifest)
    likelihoods = [] if likelihoods is None else likelihoods["replies"]
    for name in ("forget", "retain"):
        of_set = measured.fluency(records, likelihoods, name)
        fluency |= {f"{measure}_{name}": value for measure, value in of_set.items()}
    return {
        **measured.known(rows),
        **measured.beside(rows, reference),
        **measured.learned(rows, reference),
        **fluency,
        "utility": measured.utility(rows, _rouge(records)),
    }


def _rouge(records: Rows) -> list[dict[str, Any]]:
    """Return ROUGE-L of each free sentence as "value", in its record."""
    sentences = (record for record in records if record["task"] == "generation")
    return [{**one, "value": rouge_l(one)} for one in sentences if one["state"] != "error"]


def _mean(seeds: Sequence[measured.Measures]) -> measured.Measures:
    """Return the means over seeds, draw by draw; None where no seed has a value."""
    found = {name: [one[name] for one in seeds if one[name] is not None] for name in seeds[0]}
    return {name: np.mean(values, axis=0) if values else None for name, values in found.items()}


def _value(draws: np.ndarray | None) -> float | None:
    return None if draws is None else float(draws[0])


def _said(name: str, draws: np.ndarray | None) -> str:
    """Return a measure and its interval, if it has one."""
    if draws is None:
        return points(None)
    interval = partial(centred_interval, limits=(0, 1)) if name in CENTRED else statistic_interval
    value, (low, high) = interval(draws)
    if low is None or _number(name, low) == _number(name, high):
        return _number(name, value)
    return f"{_number(name, value)} ({_number(name, low)} to {_number(name, high)})"


def _number(name: str, value: float) -> str:
    if name not in PLAIN:
        return points(value)
    return f"{round(value, 1) + 0:.1f}".replace("-", "−")  # without a sign at 0
