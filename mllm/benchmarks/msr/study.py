"""The study of MLLM-MSR: a model that reads covers and titles says whether a user takes an item
next, and is compared with recommenders that know items by number.

captioner      taught to say what covers show
summariser     the captioner, taught to keep what a user likes up to date; or imported
writer         imported to write preferences in its place, if there is one
recommender    the summariser, taught the choices of users to train on
zero_shot      the summariser, asked what the recommender is asked
tallrec        the summariser, taught the same choices by titles alone
blind          the recommender without pictures
popularity, bpr, gru4rec, sasrec, gru4rec_f, sasrec_f    see ``baselines``
oracle, bayes, random, constant    know the target, the true chances, or nothing
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mllm.benchmarks.msr import baselines, brackets, taught
from mllm.benchmarks.msr import benchmark as dataset
from mllm.benchmarks.msr.benchmark import Benchmark
from mllm.benchmarks.msr.brackets import Titles
from mllm.benchmarks.msr.options import Options
from mllm.benchmarks.msr.preference import Preferences
from mllm.benchmarks.msr.prompts import Prompts
from mllm.benchmarks.msr.protocol import Protocol, records_of, rounds
from mllm.benchmarks.msr.reading import Reading
from mllm.benchmarks.msr.retrieval import Retrieval
from mllm.benchmarks.msr.scores import AXES, scores_of
from mllm.benchmarks.msr.summaries import Summaries
from mllm.benchmarks.msr.summary import summary
from mllm.benchmarks.msr.wording import wording_of
from mllm.benchmarks.prepared import named
from mllm.data.source import Joined
from mllm.evaluation.baselines import Blind
from mllm.evaluation.request import Answered, Questions, Rounds
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

CAPTIONER, SUMMARISER, WRITER = "captioner", "summariser", "writer"
READ = ("prompts", "summaries", "preferences")  # what is read follows from these


def prepare(config, progress=None) -> Benchmark:
    """Write the benchmark of a configuration unless it is there, and open it."""
    return dataset.prepare(**named(config, Options), progress=progress)


def open_benchmark(config) -> Benchmark:
    """Open the prepared benchmark of a configuration."""
    return Benchmark.open(**named(config, Options))


def labels(config) -> dict[str, Any]:
    """Return what tells runs apart besides method and seed: nothing."""
    return {}


def part(config) -> str:
    """Return the folder of an evaluation below that of its protocol: the split that is asked."""
    return config.evaluation.split


def stages(config) -> dict[str, Stage]:
    """Return the graph of the study, in order."""
    asks = protocol_of(config).models

    def bracket(name: str, answerer: Callable, parent: str | None = None) -> Stage:
        return Stage(name, ("seed",), parent=parent, answerer=answerer, method=True)

    found = [
        _recommender(config),
        _tallrec(config),
        bracket("zero_shot", lambda b, f, p: p, SUMMARISER),
        bracket("blind", lambda b, f, p: Blind(p), "recommender"),
        *baselines.stages(config, parent=SUMMARISER).values(),
        bracket("oracle", lambda b, f, p: brackets.oracle()),
        bracket("bayes", lambda b, f, p: brackets.bayes(b)),
        bracket("random", lambda b, f, p: brackets.guessing(config.seed)),
        bracket("constant", lambda b, f, p: brackets.constant()),
    ]
    methods = [replace(stage, asks=asks) for stage in found]
    return {stage.name: stage for stage in (*_readers(config), *methods)}


def _readers(config) -> list[Stage]:
    """Return the stages of the models that write summaries and preferences."""
    chosen, reading = config.summariser, reading_of(config)
    writer = [Stage(WRITER, ("summariser.writer",), pretrained=chosen.writer, own_format=True)]
    others = writer if chosen.writer else []
    if chosen.folder:
        imported = ("summariser.folder", "model")
        return [Stage(SUMMARISER, imported, pretrained=chosen.folder, own_format=True), *others]

    def items(benchmark: Benchmark):
        return taught.Summarised(benchmark.gallery, reading)

    def everything(benchmark: Benchmark):
        invented = taught.Invented(benchmark.gallery, reading)
        blocks = taught.Blocks(invented, size=chosen.blocks, seed=config.seed)
        compared = taught.Comparisons(invented, size=chosen.comparisons, seed=config.seed)
        return Joined(items(benchmark), blocks, compared)

    shown = ("seed", "processor", "rows", "prompts.wording", "prompts.compat", "summaries")
    captioner = Stage(
        CAPTIONER,
        (*shown, "model", "captioner"),
        schedule=config.captioner,
        objective=get_objective("nll"),
        examples=items,
    )
    summariser = Stage(
        SUMMARISER,
        (*shown, "prompts", "preferences", "summariser"),
        parent=CAPTIONER,
        schedule=chosen.schedule,
        objective=get_objective("nll"),
        examples=everything,
        folder=f"{SUMMARISER}_{chosen.variant}" if chosen.variant else "",
    )
    return [captioner, summariser, *others]


def _recommender(config) -> Stage:
    return _taught(config, "recommender", titles=False)


def _tallrec(config) -> Stage:
    """Return the stage of a model that reads titles alone."""
    prompts = reading_of(config).prompts
    stage = _taught(config, "tallrec", titles=True)
    return replace(stage, through=lambda benchmark, model: Titles(model, benchmark, prompts))


def _taught(config, name: str, *, titles: bool) -> Stage:
    """Return the stage of a model that learns the choices of users to train on."""
    reading, chosen, variant = reading_of(config), config[name], config.objective.variant

    def examples(benchmark: Benchmark, answered: Sequence[Answered] = ()):
        found = taught.decisions(
            benchmark,
            reading,
            answered,
            negatives=chosen.negatives,
            ahead=chosen.ahead,
            seed=config.seed,
        )
        found = taught.of_users(found, chosen.users, config.seed)
        return taught.Decisions(benchmark, reading.prompts, found, titles)

    return Stage(
        name,
        ("seed", "rows", "lora", *READ, name),
        parent=SUMMARISER,
        schedule=chosen.schedule,
        objective=get_objective("nll"),
        examples=examples,
        inquiry=_inquiry(reading) if reading.models else None,
        consults=reading.models,
        folder=f"{name}_{variant}" if variant and name == config.objective.name else name,
        method=True,
    )


def _inquiry(reading: Reading) -> Callable[[Benchmark], Rounds]:
    return lambda benchmark: reading.written(benchmark, benchmark.users(taught.TRAIN))


def reading_of(config) -> Reading:
    """Return how items and users are put into words in a configuration."""
    prompts = config.prompts.to_dict()
    wording = wording_of(prompts.pop("wording"))
    chosen = config.preferences.to_dict()
    writer = WRITER if config.summariser.writer else SUMMARISER
    return Reading(
        Prompts(wording, **prompts),
        Summaries(model=SUMMARISER, **config.summaries),
        Preferences(model=writer, **chosen),
    )


def protocol_of(config) -> Protocol:
    """Return the protocol of a configuration."""
    chosen = config.evaluation
    return Protocol(
        name=chosen.protocol,
        split=chosen.split,
        users=chosen.users,
        reading=reading_of(config),
        retrieval=Retrieval(chosen.retriever, chosen.top) if chosen.retriever else None,
    )


def questions(config, benchmark: Benchmark, family: str) -> Questions:
    """Return what the protocol of a configuration asks; the same of every model."""
    protocol = protocol_of(config)
    reading = protocol.reading.digest_fields()
    return Questions(
        rounds(benchmark, protocol),
        {"protocol": protocol.digest_fields(), "reading": reading},
        records_of,
    )


def score(records: Sequence[dict], config) -> list[dict]:
    """Return the scores of all cells."""
    return scores_of(records)
