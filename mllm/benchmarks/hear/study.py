"""The study of what a model hears: a language model that knows in words what sounds are kinds of
learns to name sounds, and is then asked about synonyms and kinds of what it hears.

language       a decoder of random weights, taught in text alone; in its place
pretrained     imports a model, if there is one
project, listen, classify   the stages of LTU (Gong et al. 2024, arXiv:2305.10790) before its last
each of config.methods   that last stage, with lessons of its own
blind          the first method without the sound
before         the language model before any of them, without the sound: what it knew of words
oracle, always_yes, random, prior   know the answers, or answer without hearing
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

from mllm.benchmarks.hear import benchmark as dataset
from mllm.benchmarks.hear import brackets
from mllm.benchmarks.hear.benchmark import Benchmark
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.protocol import Protocol, rounds
from mllm.benchmarks.hear.records import records_of
from mllm.benchmarks.hear.representation.measure import representation
from mllm.benchmarks.hear.scores import AXES, scores_of
from mllm.benchmarks.hear.summary import summary
from mllm.benchmarks.hear.taught import lessons
from mllm.benchmarks.prepared import named
from mllm.evaluation.baselines import Blind
from mllm.evaluation.embedding import TextSimilarity
from mllm.evaluation.inspection import Inspection
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

PRETRAINED, LANGUAGE = "pretrained", "language"
FIRST = ("project", "listen", "classify")  # the first three stages of LTU


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
    found = [_language(config)]
    for name in FIRST:
        depends_on = ("seed", "processor", "rows", "lora", name)
        found.append(_taught(config, name, config[name], depends_on, found[-1].name))
    methods = [_method(config, name, found[-1].name) for name in config.methods]
    return {stage.name: stage for stage in (*found, *methods, *_controls(config, found[0].name))}


def _language(config) -> Stage:
    """Return the stage of the language model: taught here, or imported with its encoder."""
    if config.pretrained:
        return Stage(PRETRAINED, ("seed", "pretrained", "model", "processor"))
    depends_on = ("seed", "model", "processor", "rows", LANGUAGE)
    return _taught(config, LANGUAGE, config.language, depends_on)


def _method(config, name: str, parent: str) -> Stage:
    """Return the last stage with the lessons of a method; the schedule is the same for all."""
    section, variant = config.methods[name], config.objective.variant
    depends_on = ("seed", "processor", "rows", "lora", "tune", f"methods.{name}")
    stage = _taught(config, name, {**config.tune, **section}, depends_on, parent)
    folder = f"{name}_{variant}" if variant and name == config.objective.name else name
    return replace(stage, folder=folder, method=True)


def _taught(config, name: str, section, depends_on, parent: str | None = None) -> Stage:
    """Return a stage that learns the lessons of a section by its schedule."""
    return Stage(
        name,
        depends_on,
        parent=parent,
        schedule=section["schedule"],
        objective=get_objective("nll"),
        examples=lambda benchmark: lessons(section["lessons"], benchmark, config.seed),
    )


def _controls(config, language: str) -> list[Stage]:
    """Return what answers in place of a model that hears.

    Args:
      language: the stage of the language model.
    """
    known: dict[str, Callable[[Benchmark], Answerer]] = {
        "oracle": brackets.oracle,
        "always_yes": brackets.always_yes,
        "random": lambda benchmark: brackets.guessing(benchmark, config.seed),
        "prior": brackets.prior,
    }

    def control(name: str, answerer: Callable[..., Answerer], parent: str | None = None) -> Stage:
        return Stage(name, ("seed",), parent=parent, answerer=answerer, method=True)

    deaf = {"blind": next(iter(config.methods)), "before": language}
    return [
        *(control(name, lambda b, f, model: Blind(model), of) for name, of in deaf.items()),
        *(control(name, lambda b, f, p, make=make: make(b)) for name, make in known.items()),
    ]


def protocol_of(config) -> Protocol:
    """Return the protocol of a configuration."""
    chosen = config.evaluation
    asked = {field.name: chosen[field.name] for field in fields(Protocol) if field.name in chosen}
    asked = {name: tuple(v) if isinstance(v, (list, tuple)) else v for name, v in asked.items()}
    return Protocol(**{**asked, "name": chosen.protocol, "seed": config.benchmark.seed})


def questions(config, benchmark: Benchmark, family: str) -> Questions:
    """Return what the protocol of a configuration asks; the same of every model."""
    protocol, embedder = protocol_of(config), _embedder()
    similarities = embedder and embedder.similarities
    return Questions(
        rounds(benchmark, protocol),
        {"protocol": protocol.digest_fields()},
        lambda answered: records_of(
            answered, benchmark.ontology, benchmark.rare, similarities, seed=protocol.seed
        ),
        scoring={"embedding": embedder is not None},
        inspections=_inspections(config, benchmark),
    )


def _inspections(config, benchmark: Benchmark) -> tuple[Inspection, ...]:
    """Return what is measured of the states of a model, besides its replies."""
    clips = config.evaluation.representation
    if not clips:
        return ()
    return (representation(benchmark, config.evaluation.split, clips),)


@cache
def _embedder() -> TextSimilarity | None:
    """Return what embeds captions, None where its package is not installed."""
    try:
        return TextSimilarity.read()
    except FileNotFoundError:
        return None


def score(records: Sequence[dict], config) -> list[dict]:
    """Return the scores of all cells."""
    return scores_of(records)
