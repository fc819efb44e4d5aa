"""MLLMU-Bench (Liu et al., arXiv 2410.22108): generated or published, as one TFDS dataset."""

from mllm.benchmarks.mllmu.benchmark import Benchmark, prepare
from mllm.benchmarks.mllmu.export import export_published
from mllm.benchmarks.mllmu.schema import Profile, Question, TrainingPair

__all__ = ["Benchmark", "Profile", "Question", "TrainingPair", "export_published", "prepare"]
