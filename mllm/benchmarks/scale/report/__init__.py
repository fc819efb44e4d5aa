"""What reporting needs to draw the report of this benchmark."""

from mllm.benchmarks.scale.imported import open_section
from mllm.benchmarks.scale.report.finding import FINDING_RULE, finding
from mllm.benchmarks.scale.report.layout import LAYOUT
from mllm.benchmarks.scale.report.sections import sections
from mllm.reporting import Report

REPORT = Report(
    layout=LAYOUT,
    sections=sections,
    finding=finding,
    finding_rule=FINDING_RULE,
    open_benchmark=open_section,
)
