"""The analysis that a chain of thought begins with: what models are taught to say there, and what
the brackets say. It is not part of the published material.
"""

from collections.abc import Mapping
from typing import Any

from mllm.benchmarks.cobsat.tasks import display


def analysis(tags: Mapping[str, Any]) -> str:
    """Return two sentences: which side of the pictures the words give, and what all pictures share.

    Args:
      tags: of a prompt: the vocabularies ``x`` and ``theta``, and the word ``hidden``.
    """
    shared = display(tags["hidden"])
    return f"The words give the {tags['x']}. All images share the {tags['theta']}: {shared}."
