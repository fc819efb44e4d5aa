"""A judge that compares what texts mean: the cosine of their embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mllm.evaluation.embedding import TextSimilarity
from mllm.evaluation.judging.case import NO, NONE, YES, Case, Verdict

MINILM = "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class EmbeddingJudge:
    """Judge replies by a text encoder.

    A reply is relevant if its cosine with the right answer, or with a value of its kind, reaches
    ``least``. It is correct if, besides, the fact is nearer to it than every other value.
    The encoder is read when something is judged.

    Attributes:
      encoder: its folder; "" takes all-MiniLM-L6-v2 (``TextSimilarity.read``).
    """

    least: float = 0.5
    encoder: str = ""

    @property
    def identity(self) -> Mapping[str, Any]:
        """The encoder and the threshold."""
        return {"encoder": self.encoder or MINILM, "least": self.least}

    @property
    def _texts(self) -> TextSimilarity:
        return _read(self.encoder)

    def judge(self, cases: Sequence[Case], folder: Path) -> list[Verdict]:
        """Return a verdict for each case; correctness is NONE without a fact and its kind.

        Raises:
          FileNotFoundError, ValueError: of ``TextSimilarity.read``.
        """
        said = [case for case in cases if case.reply.strip()]
        right = self._texts.similarity([c.reply for c in said], [c.right for c in said])
        cosines = iter(map(float, right))
        return [
            self._verdict(case, next(cosines))
            if case.reply.strip()
            else {"relevant": NO, "correct": NO if _is_known(case) else NONE}
            for case in cases
        ]

    def _verdict(self, case: Case, cosine: float) -> Verdict:
        """Return the verdict on a reply that is not empty, given its cosine with the right
        answer.
        """
        others = [value for value in case.kind if value != case.fact]
        values = [*filter(None, [case.fact]), *others]
        near = self._texts.similarities([case.reply], values)[0] if values else np.zeros(0)
        relevant = max([cosine, *near]) >= self.least
        said = {"relevant": YES if relevant else NO, "correct": NONE}
        if _is_known(case):
            said["correct"] = YES if relevant and near[0] > max(near[1:]) else NO
        return said


def _is_known(case: Case) -> bool:
    """Return whether the fact is known, and values that it can be taken for."""
    return bool(case.fact) and any(value != case.fact for value in case.kind)


@lru_cache(maxsize=1)  # every run of a study is judged by the same one
def _read(encoder: str) -> TextSimilarity:
    return TextSimilarity.read(encoder or None)
