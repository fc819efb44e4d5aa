"""From run folders to a report that can stand beside a paper."""

from mllm.reporting.collect import collect
from mllm.reporting.report import write_report
from mllm.reporting.terminal import print_table, terminal_table

__all__ = ["collect", "print_table", "terminal_table", "write_report"]
