"""What reporting needs to draw the tables of islands."""

from pathlib import Path

from mllm.benchmarks.islands.benchmark import CAPITALS, Islands, correct
from mllm.reporting import Axis, Layout, Report


def _question_values(records: list[dict], protocol: str) -> dict:
    """Return (modality, metric) -> question -> score, by which reports compare runs in pairs."""
    found: dict[tuple, dict] = {}
    for record in records:
        if (value := correct(record)) is not None:
            cell = record["modality"], "accuracy"
            found.setdefault(cell, {})[record["island"], record["question"]] = value
    return found


LAYOUT = Layout(
    title="Islands",
    axes=(Axis("modality", {"image": "By its flag", "text": "By its name"}),),
    methods={"taught": "Taught"},
    metrics={"accuracy": "accuracy"},
    chance=lambda cell: 1 / len(CAPITALS),
    question_values=_question_values,
    clusters="islands",
)
REPORT = Report(
    LAYOUT, open_benchmark=lambda section: Islands(Path(section["data_dir"]) / "islands")
)
