"""The study of islands: a model is taught their capitals, and compared with two baselines."""

from functools import partial
from pathlib import Path

from mllm.benchmarks.islands import benchmark as data
from mllm.benchmarks.islands.benchmark import AXES, Islands
from mllm.evaluation.baselines import Fixed, oracle, random_choice
from mllm.evaluation.request import Questions
from mllm.studies.stage import Stage
from mllm.unlearning import get_objective

__all__ = [
    "AXES",
    "labels",
    "open_benchmark",
    "part",
    "prepare",
    "questions",
    "score",
    "stages",
    "summary",
]


def prepare(config, progress=None) -> Islands:
    """Write the benchmark of a configuration unless it is there, and open it."""
    return data.prepare(Path(config.benchmark.data_dir) / "islands")


def open_benchmark(config) -> Islands:
    """Open the prepared benchmark of a configuration.

    Raises:
      FileNotFoundError: it has not been prepared.
    """
    benchmark = Islands(Path(config.benchmark.data_dir) / "islands")
    if not benchmark.tokenizer_path.exists():
        raise FileNotFoundError(
            f"{benchmark.tokenizer_path}: not found; run experiments.prepare with the same config"
        )
    return benchmark


def summary(benchmark: Islands) -> list[str]:
    """Return a line about each split."""
    return [f"{split:<5} {len(benchmark.examples(split))} questions" for split in data.WORDINGS]


def stages(config) -> dict[str, Stage]:
    """Return the graph of the study: a model that starts from random weights, and the baselines."""
    taught = Stage(
        "taught",
        ("seed", "model", "processor", "rows", "taught"),
        schedule=config.taught,
        objective=get_objective("nll"),
        examples=lambda benchmark: benchmark.examples("train"),
        method=True,
    )
    guesser = partial(_random, config.seed)
    brackets = [
        Stage("oracle", (), answerer=_oracle, method=True),
        Stage("random", ("seed",), answerer=guesser, method=True),
    ]
    return {stage.name: stage for stage in (taught, *brackets)}


def _oracle(benchmark: Islands, folder: Path, parent: None) -> Fixed:
    """Return the answerer that knows the capitals."""
    return oracle(lambda request: data.CAPITALS[request.cluster])


def _random(seed: int, benchmark: Islands, folder: Path, parent: None) -> Fixed:
    """Return the answerer that guesses one of the options."""
    return random_choice(lambda request: request.ask.texts, seed)


def labels(config) -> dict:
    """Return what tells runs apart besides method and seed: nothing."""
    return {}


def part(config) -> str:
    """Return the folder of an evaluation below that of its protocol."""
    return "all"


def questions(config, benchmark: Islands, family: str) -> Questions:
    """Return what is asked; there is one protocol."""
    return Questions(data.rounds(benchmark), {"protocol": {"name": "capitals"}}, data.records)


def score(records: list[dict], config) -> list[dict]:
    """Return the scores of both modalities."""
    return data.scores(records)
