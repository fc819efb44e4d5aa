"""MLLM-MSR: sequential recommendation from pictures and text (Ye et al. 2025, arXiv:2408.09698)."""

from mllm.benchmarks.msr.interactions import kcore
from mllm.benchmarks.msr.metrics import ranking_metrics

__all__ = ["kcore", "ranking_metrics"]
