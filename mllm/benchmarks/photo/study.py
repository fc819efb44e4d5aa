"""The study of PhotoEye: a model that sees a photograph through several encoders, chosen by the
question, next to the same model with another way to join them.

encoders       a model of small encoders, taught to say what was done to photographs; in its place
pretrained     imports one, if there is one
align          its fusion and projector, taught to answer questions, all encoders weighed alike
each of config.methods   fusion, projector and decoder, taught by questions, with a gate of its own
blind, blank, wrong_photo   the fused model without the photograph, with a grey one, with another
oracle, random   know the answers, or guess
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from mllm.benchmarks.photo import benchmark as dataset
from mllm.benchmarks.photo import brackets, taught
from mllm.benchmarks.photo.album import Album
from mllm.benchmarks.photo.benchmark import Benchmark
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.protocol import Protocol, rounds
from mllm.benchmarks.photo.records import records_of
from mllm.benchmarks.photo.scores import AXES, scores_of
from mllm.benchmarks.photo.summary import summary
from mllm.benchmarks.prepared import named
from mllm.data.source import Joined
from mllm.evaluation.baselines import Blind
from mllm.evaluation.embedding import TextSimilarity
from mllm.evaluation.request import Questions
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

PRETRAINED, ENCODERS, ALIGN, FUSED = "pretrained", "encoders", "align", "fused"


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

    def bracket(name: str, answerer: Callable, parent: str | None = None) -> Stage:
        return Stage(name, ("seed",), parent=parent, answerer=answerer, method=True)

    seed = config.seed
    found = [
        _encoders(config),
        _align(config),
        *[_tuned(config, name) for name in config.methods],
        bracket("oracle", lambda b, f, p: brackets.oracle(_album(config, b))),
        bracket("random", lambda b, f, p: brackets.guessing(_album(config, b), seed)),
    ]
    if FUSED in config.methods:
        found += [
            bracket("blind", lambda b, f, p: Blind(p), FUSED),
            bracket("blank", lambda b, f, p: brackets.blank(p), FUSED),
            bracket(
                "wrong_photo",
                lambda b, f, p: brackets.wrong_photo(p, _album(config, b), seed),
                FUSED,
            ),
        ]
    return {stage.name: stage for stage in found}


def _encoders(config) -> Stage:
    """Return the stage of the encoders: taught here, or imported with their decoder."""
    if config.pretrained:
        return Stage(PRETRAINED, ("seed", "pretrained", "model", "processor"))
    chosen = config.encoders
    return Stage(
        ENCODERS,
        ("seed", "model", "processor", "rows", "encoders"),
        schedule=chosen.schedule,
        objective=get_objective("nll"),
        examples=lambda benchmark: taught.Looked(
            benchmark.photos(taught.TRAIN), chosen.repeats, chosen.each, config.seed
        ),
        folder=_named(ENCODERS, chosen.variant),
    )


def _align(config) -> Stage:
    return Stage(
        ALIGN,
        ("seed", "processor", "rows", "align"),
        parent=PRETRAINED if config.pretrained else ENCODERS,
        schedule=config.align.schedule,
        objective=get_objective("nll"),
        examples=lambda benchmark: _lessons(config.align.lessons, benchmark, config.seed),
        folder=_named(ALIGN, config.encoders.variant),
    )


def _tuned(config, name: str) -> Stage:
    """Return the stage of one way to join the encoders; all of them see the same rows."""
    fusion, variant = config.methods[name], config.objective.variant
    return Stage(
        name,
        ("seed", "processor", "rows", "lora", "tune", f"methods.{name}"),
        parent=ALIGN,
        changes={f"fusion.{field}": value for field, value in fusion.items()},
        schedule=config.tune.schedule,
        objective=get_objective("nll"),
        examples=lambda benchmark: _lessons(config.tune.lessons, benchmark, config.seed),
        folder=_named(name, variant if name == config.objective.name else ""),
        method=True,
    )


def _named(name: str, variant: str) -> str:
    return f"{name}_{variant}" if variant else name


def _lessons(lessons, benchmark: Benchmark, seed: int) -> Joined:
    """Return what a stage learns from: of each of ``taught.LESSONS``, so many photographs."""
    photos = benchmark.photos(taught.TRAIN)
    chosen = {name: photos if count < 0 else photos[:count] for name, count in lessons.items()}
    return Joined(*(taught.LESSONS[name](some, seed) for name, some in chosen.items()))


def protocol_of(config) -> Protocol:
    """Return the protocol of a configuration."""
    chosen = config.evaluation
    return Protocol(
        name=chosen.protocol,
        split=chosen.split,
        photos=chosen.photos,
        letters=chosen.letters,
        critiques=chosen.critiques,
        orders=chosen.orders,
        generated=chosen.generated,
        critique_tokens=chosen.critique_tokens,
    )


def _album(config, benchmark: Benchmark) -> Album:
    """Return the photographs of the split that is asked; the wrong ones are the same of every seed
    of a study.
    """
    return Album(benchmark.photos(config.evaluation.split), config.benchmark.seed)


def questions(config, benchmark: Benchmark, family: str) -> Questions:
    """Return what the protocol of a configuration asks; the same of every model."""
    protocol, album, judge = protocol_of(config), _album(config, benchmark), _judge()
    return Questions(
        rounds(benchmark.photos(protocol.split), protocol),
        {"protocol": protocol.digest_fields()},
        lambda answered: records_of(answered, album, judge and judge.similarity),
        scoring={"embedding": judge is not None},
    )


@cache
def _judge() -> TextSimilarity | None:
    """Return what embeds critiques, None where its package is not installed."""
    try:
        return TextSimilarity.read()
    except FileNotFoundError:
        return None


def score(records: Sequence[dict], config) -> list[dict]:
    """Return the scores of all cells."""
    return scores_of(records)
