"""What reporting needs to draw the report of this benchmark."""

from mllm.benchmarks.mllmu.benchmark import open_section
from mllm.benchmarks.mllmu.report.finding import FINDING_RULE, finding
from mllm.benchmarks.mllmu.report.layout import LAYOUT
from mllm.benchmarks.mllmu.report.sections import sections
from mllm.reporting import Report

REPORT = Report(
    layout=LAYOUT,
    sections=sections,
    finding=finding,
    finding_rule=FINDING_RULE,
    open_benchmark=open_section,
)
