"""The study of islands: one model is taught their capitals."""

from pathlib import Path

from mllm.benchmarks.islands import benchmark as data
from mllm.benchmarks.islands.benchmark import AXES, Islands
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
    """Return the graph of the study: a single stage, which starts from random weights."""
    taught = Stage(
        "taught",
        ("seed", "model", "processor", "rows", "taught"),
        schedule=config.taught,
        objective=get_objective("nll"),
        examples=lambda benchmark: benchmark.examples("train"),
        method=True,
    )
    return {taught.name: taught}


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
