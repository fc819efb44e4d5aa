"""CoBSAT (Zeng et al., COLM 2024, arXiv:2402.01293): text-to-image in-context learning."""

from mllm.benchmarks.cobsat.prompt_lists import prompt_list

__all__ = ["prompt_list"]
