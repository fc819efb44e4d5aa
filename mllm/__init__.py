"""What multimodal language models know, forget and understand: ``load`` a model, ask it, score with
it, save it.
"""

from mllm.api import Model, load

__all__ = ["Model", "load"]
