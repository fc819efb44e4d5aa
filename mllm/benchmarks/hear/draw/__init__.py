"""Sounds made of parameters, a voice for each leaf of the ontology."""

from mllm.benchmarks.hear.draw import birds, insects, instruments, machines, mammals, nature
from mllm.benchmarks.hear.draw.voice import Voice

MODULES = (birds, insects, mammals, nature, machines, instruments)
VOICES: dict[str, Voice] = {one.name: one for module in MODULES for one in module.VOICES}

__all__ = ["VOICES", "Voice"]
