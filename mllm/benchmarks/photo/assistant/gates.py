"""Which encoders an instructed model uses for each question about a photograph, kept on disk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mllm.evaluation.answer_cache import AnswerCache
from mllm.evaluation.looks import Looks, explained
from mllm.evaluation.request import Request, content_key
from mllm.evaluation.runner import LocalModel

FILE = "gates.jsonl"
DIGITS = 4  # of a weight

Layers = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Gates:
    """The weights of encoders, a line of the file for each photograph.

    Attributes:
      model: returns the model; it is called when something is not on disk.
      context: names the weights and all else that the gates follow from.
      folder: of the file.
    """

    model: Callable[[], LocalModel]
    context: str
    folder: Path

    @cached_property
    def _kept(self) -> AnswerCache:
        return AnswerCache(self.folder / FILE)

    def of(self, photographs: Sequence[Sequence[Request]]) -> dict[str, Layers]:
        """Return the weights [L, N] of N encoders in L layers for each request, by its key.

        Args:
          photographs: the requests about each.
        """
        named = [content_key(self.context, [one.key for one in row]) for row in photographs]
        missing = [
            one
            for name, row in zip(named, photographs, strict=True)
            if self._kept.get(name) is None
            for one in row
        ]
        if missing:
            looks = _by_key(explained(self.model(), missing))
            for name, row in zip(named, photographs, strict=True):
                if self._kept.get(name) is None:
                    self._kept.put({"key": name, "gates": {r.key: looks[r.key] for r in row}})
        return {
            key: tuple(map(tuple, layers))
            for name in named
            for key, layers in self._kept.get(name)["gates"].items()
        }


def _by_key(looks: Looks | None) -> dict[str, list[list[float]]]:
    if looks is None:
        return {}
    rounded = np.round(looks.gates.astype(float), DIGITS).tolist()
    return dict(zip(looks.keys, rounded, strict=True))
