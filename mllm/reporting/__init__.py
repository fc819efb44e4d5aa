"""From run folders to a report: tables over any axes, figures, one page, exports."""

from mllm.reporting.against_report import write_comparison
from mllm.reporting.collect import benchmark_name, collect
from mllm.reporting.layout import Axis, Group, Layout, Mark, Marking, Style
from mllm.reporting.report import Report, write_report
from mllm.reporting.terminal import print_table, terminal_table

__all__ = [
    "Axis",
    "Group",
    "Layout",
    "Mark",
    "Marking",
    "Report",
    "Style",
    "benchmark_name",
    "collect",
    "print_table",
    "terminal_table",
    "write_comparison",
    "write_report",
]
