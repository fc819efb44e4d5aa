"""What reporting needs to draw the report of this benchmark."""

from collections.abc import Mapping
from typing import Any

from mllm.benchmarks.hear.benchmark import Benchmark
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.report.finding import FINDING_RULE, finding
from mllm.benchmarks.hear.report.layout import LAYOUT
from mllm.benchmarks.hear.report.sections import sections
from mllm.reporting import Report


def open_section(section: Mapping[str, Any]) -> Benchmark:
    """Open the benchmark of the section ``benchmark`` of a run's configuration."""
    return Benchmark.open(
        section["data_dir"],
        section["config"],
        seed=section.get("seed"),
        source=section.get("source", ""),
        options=Options(**(section.get("options") or {})),
    )


REPORT = Report(
    layout=LAYOUT,
    sections=sections,
    finding=finding,
    finding_rule=FINDING_RULE,
    open_benchmark=open_section,
)
