"""The study of large and small models: models of several sizes are taught, then all are asked.

each of config.models          taught on the train split
each of config.folders         a folder with published weights
each of config.endpoints       a service that is asked over HTTP
oracle, random, majority       know the answer, guess it, give the most frequent one
blind                          the largest taught model without its pictures
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from mllm.benchmarks.scale import benchmark as dataset
from mllm.benchmarks.scale.benchmark import Benchmark
from mllm.benchmarks.scale.imported import Imported, open_section, prepare_imported
from mllm.benchmarks.scale.prompts import answer, forms_of
from mllm.benchmarks.scale.protocol import Protocol, gold, guesses, rounds
from mllm.benchmarks.scale.score import AXES, records_of, scores_of
from mllm.benchmarks.scale.taught import Taught
from mllm.evaluation.baselines import Blind, majority, oracle, random_choice
from mllm.evaluation.endpoint import Endpoint, EndpointConfig
from mllm.evaluation.request import Answerer, Questions, Request
from mllm.evaluation.web import Patience
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


def prepare(config, progress=None) -> Benchmark | Imported:
    """Write the benchmark of a configuration, or import its file, unless it is there; open it."""
    chosen = config.benchmark
    if chosen.file:
        return prepare_imported(chosen.data_dir, chosen.file, progress)
    return dataset.prepare(chosen.data_dir, chosen.config, seed=chosen.seed, progress=progress)


def open_benchmark(config) -> Benchmark | Imported:
    """Open the prepared benchmark of a configuration."""
    return open_section(config.benchmark.to_dict())


def summary(benchmark: Benchmark) -> list[str]:
    """Return a line about each split."""
    cells = len(benchmark.cells)
    return [
        f"{split:<11} {len(benchmark.items(split)):5} items in {cells} cells"
        for split in benchmark.splits
    ]


def labels(config) -> dict[str, Any]:
    """Return what tells runs apart besides method and seed: nothing."""
    return {}


def part(config) -> str:
    """Return the folder of an evaluation below that of its protocol: the split that is asked."""
    return config.evaluation.split


def stages(config) -> dict[str, Stage]:
    """Return the graph of the study, in order."""
    found = [_compared(config, name) for name in config.compared]
    found.append(Stage("oracle", (), answerer=_oracle, method=True))
    found.append(Stage("random", ("seed",), answerer=partial(_random, config.seed), method=True))
    if not config.benchmark.file:  # there is no split to count answers in
        found.append(Stage("majority", (), answerer=_majority, method=True))
    seen = [stage.name for stage in found if stage.answerer is None]
    if seen:
        found.append(Stage("blind", (), parent=seen[-1], answerer=_blind, method=True))
    return {stage.name: stage for stage in found}


def _compared(config, name: str) -> Stage:
    """Return the stage of one of ``config.compared``.

    Raises:
      ValueError: the name is in none of the sections, or in several.
    """
    sections = [key for key in ("models", "folders", "endpoints") if name in config[key]]
    if len(sections) != 1:
        raise ValueError(
            f"config.compared names {name!r}, which is in {sections or 'none'} of config.models, "
            "config.folders and config.endpoints; expected one of them"
        )
    if sections == ["folders"]:
        path = config.folders[name]
        return Stage(
            name,
            (f"folders.{name}", "model", "processor.chat_format"),
            pretrained=path,
            method=True,
        )
    if sections == ["endpoints"]:
        answerer = partial(_endpoint, config.endpoints[name])
        asked = ("url", "model", "limit_name", "parameters", "choices")
        depends_on = tuple(f"endpoints.{name}.{key}" for key in asked)
        return Stage(name, depends_on, answerer=answerer, method=True)
    return Stage(
        name,
        ("seed", "processor", "rows", f"models.{name}"),
        model=config.models[name].model,
        schedule=config.models[name].schedule,
        objective=get_objective("nll"),
        examples=lambda benchmark: Taught(benchmark.items("train")),
        method=True,
    )


def _oracle(benchmark: Benchmark, folder, parent: Answerer | None) -> Answerer:
    return oracle(gold)


def _random(seed: int, benchmark: Benchmark, folder, parent: Answerer | None) -> Answerer:
    return random_choice(guesses(benchmark.item), seed)


def _majority(benchmark: Benchmark, folder, parent: Answerer | None) -> Answerer:
    """Return the baseline of the most frequent answers to each cell's items, by form."""
    answers = [
        (("/".join((item.suite, item.format, item.capability)), form), answer(item, form))
        for item in benchmark.items("train")
        for form in forms_of(item)
    ]
    return majority(answers, _group)


def _group(request: Request) -> tuple[str, str]:
    return "/".join(request.tags[axis] for axis in AXES), request.tags["form"]


def _blind(benchmark: Benchmark, folder, parent: Answerer) -> Answerer:
    return Blind(parent)


def _endpoint(options, benchmark: Benchmark, folder, parent: Answerer | None) -> Answerer:
    chosen = options.to_dict()
    replay = chosen.pop("replay")
    chosen["patience"] = Patience(**chosen["patience"])
    return Endpoint(EndpointConfig(**chosen), folder / "answers.jsonl", replay=replay)


def questions(config, benchmark: Benchmark, family: str) -> Questions:
    """Return what the protocol of a configuration asks; the same of every model."""
    chosen = config.evaluation
    protocol = Protocol(
        name=chosen.protocol,
        split=chosen.split,
        wordings=chosen.wordings,
        logprobs=chosen.logprobs,
        reply_tokens=chosen.reply_tokens,
        pictures=chosen.pictures,
    )
    return Questions(
        rounds(benchmark.items(protocol.split), protocol),
        {"protocol": protocol.digest_fields()},
        lambda answered: records_of(answered, benchmark.item),
    )


def score(records: Sequence[dict], config) -> list[dict]:
    """Return the scores of all cells."""
    return scores_of(records)
