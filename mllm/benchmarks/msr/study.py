"""The study of MLLM-MSR: a model that reads covers and titles says whether a user takes an item
next, and is compared with recommenders that know items by number.

summariser     taught to say what covers show, and to keep what a user likes up to date; or imported
writer         imported to write preferences in its place, if there is one
recommender    the summariser, taught the choices of users to train on
zero_shot      the summariser, asked what the recommender is asked
tallrec        the summariser, taught the same choices by titles alone
blind          the recommender without pictures
popularity, bpr, gru4rec, sasrec, gru4rec_f, sasrec_f    see ``baselines``
oracle, bayes, random, constant    know the target, the true chances, or nothing
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from mllm.benchmarks.msr import baselines, brackets, taught
from mllm.benchmarks.msr import benchmark as dataset
from mllm.benchmarks.msr.benchmark import Benchmark, summary
from mllm.benchmarks.msr.preference import Preferences
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.protocol import Protocol, records_of, rounds
from mllm.benchmarks.msr.reading import Reading
from mllm.benchmarks.msr.retrieval import Retrieval
from mllm.benchmarks.msr.scores import AXES, scores_of
from mllm.benchmarks.msr.summaries import Summaries
from mllm.benchmarks.msr.wording import wording_of
from mllm.data.source import Joined
from mllm.evaluation.baselines import Blind
from mllm.evaluation.request import Answerer, Questions
from mllm.studies.stage import Stage
from mllm.unlearning import get_objective

__all__ = [
    "AXES",
    "Benchmark",
    "labels",
    "open_benchmark",
    "part",
    "prepare",
    "questions",
    "score",
    "stages",
    "summary",
]

SUMMARISER, WRITER = "summariser", "writer"
READ = ("prompts", "summaries", "preferences")  # what is read follows from these


def prepare(config, progress=None) -> Benchmark:
    """Write the benchmark of a configuration unless it is there, and open it."""
    chosen = config.benchmark
    return dataset.prepare(chosen.data_dir, chosen.config, seed=chosen.seed, progress=progress)


def open_benchmark(config) -> Benchmark:
    """Open the prepared benchmark of a configuration."""
    chosen = config.benchmark
    return Benchmark.open(chosen.data_dir, chosen.config, seed=chosen.seed)


def labels(config) -> dict[str, Any]:
    """Return what tells runs apart besides method and seed: nothing."""
    return {}


def part(config) -> str:
    """Return the folder of an evaluation below that of its protocol: the split that is asked."""
    return config.evaluation.split


def stages(config) -> dict[str, Stage]:
    """Return the graph of the study, in order."""
    asks = protocol_of(config).models
    bracket = partial(_bracket, config, asks)
    found = [
        *_readers(config),
        _recommender(config, asks),
        _tallrec(config, asks),
        bracket("zero_shot", lambda b, f, p: p, SUMMARISER),
        bracket("blind", lambda b, f, p: Blind(p), "recommender"),
        *(
            stage_asking(stage, asks)
            for stage in baselines.stages(config, parent=SUMMARISER).values()
        ),
        bracket("oracle", lambda b, f, p: brackets.oracle()),
        bracket("bayes", lambda b, f, p: brackets.bayes(b)),
        bracket("random", lambda b, f, p: brackets.guessing(config.seed)),
        bracket("constant", lambda b, f, p: brackets.constant()),
    ]
    return {stage.name: stage for stage in found}
