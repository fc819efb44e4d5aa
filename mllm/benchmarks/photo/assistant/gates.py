"""Which encoders an instructed model uses for each question about a photograph, and where in it
each of them looks; kept on disk.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mllm.evaluation.answer_cache import AnswerCache
from mllm.evaluation.looks import Looks, explained
from mllm.evaluation.request import Request, content_key
from mllm.evaluation.runner import LocalModel

FILE = "gates.jsonl"
DIGITS = 5  # of a weight


@dataclass(frozen=True)
class Seen:
    """How a photograph was read under a question.

    Attributes:
      gates: weights [L, N] of N encoders in L layers.
      attention: where each encoder looks, [rows, columns] of sum 1 over the square that holds the
        photograph at its upper left, mean over layers; {} where it is not kept.
    """

    gates: Sequence[Sequence[float]]
    attention: Mapping[str, Sequence[Sequence[float]]]


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

    def of(self, photographs: Sequence[Sequence[Request]]) -> dict[str, Seen]:
        """Return how photographs were read, by the keys of the requests.

        Args:
          photographs: the requests about each. Of the first one the attention is kept.
        """
        rows = {content_key(self.context, [one.key for one in row]): row for row in photographs}
        missing = {name: row for name, row in rows.items() if self._kept.get(name) is None}
        if missing:
            firsts = [row[0] for row in missing.values()]
            rest = [one for row in missing.values() for one in row[1:]]
            found = _values(explained(self.model(), [*firsts, *rest], shown=len(firsts)))
            for name, row in missing.items():
                self._kept.put({"key": name, "seen": {one.key: found[one.key] for one in row}})
        return {
            key: Seen(one["gates"], one.get("attention", {}))
            for name in rows
            for key, one in self._kept.get(name)["seen"].items()
        }


def _values(looks: Looks | None) -> dict[str, dict[str, Any]]:
    """Return gates and attention by request as JSON values."""
    if looks is None:
        return {}
    found = {
        key: {"gates": _rounded(gates)} for key, gates in zip(looks.keys, looks.gates, strict=True)
    }
    for place, row in enumerate(looks.shown):
        maps = {
            name: _rounded(array[place].mean(axis=0)) for name, array in looks.attention.items()
        }
        found[looks.keys[row]]["attention"] = maps
    return found


def _rounded(array: np.ndarray) -> list:
    return np.round(array.astype(float), DIGITS).tolist()
