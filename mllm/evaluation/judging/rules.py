"""Judges that read a reply by a rule; they need no model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mllm.evaluation.judging.case import NO, NONE, YES, Case, Verdict
from mllm.evaluation.metrics import rouge
from mllm.evaluation.parsing import normalise


@dataclass(frozen=True)
class FactJudge:
    """Look for the fact, and for other values of its kind, among the words of a reply.

    A reply is correct if it names the fact, whatever else it names, and relevant if it names the
    fact or another value of the kind. Whole words are compared, as ``parsing.normalise`` spells
    them: "5" is not in "1950". A value that the question names too does not count, since a reply
    may repeat the question. A value outside ``Case.kind`` is not recognised.
    """

    @property
    def identity(self) -> Mapping[str, Any]:
        """Nothing but the rule."""
        return {"rule": "facts"}

    def judge(self, cases: Sequence[Case], folder: Path) -> list[Verdict]:
        """Return a verdict for each case; NONE where the fact or its kind is not known."""
        return [_by_fact(case) for case in cases]


def _by_fact(case: Case) -> Verdict:
    reply, question = (f" {normalise(text)} " for text in (case.reply, case.question))

    def is_named(value: str) -> bool:
        words = f" {normalise(value)} "
        return bool(words.strip()) and words in reply and words not in question

    right = bool(case.fact) and is_named(case.fact)
    of_kind = right or any(map(is_named, case.kind))
    return {
        "relevant": _said(of_kind) if case.kind else NONE,
        "correct": _said(right) if case.fact else NONE,
    }


@dataclass(frozen=True)
class RougeJudge:
    """Call a reply correct if its ROUGE-L F1 with the right answer reaches ``least``.

    ROUGE cannot tell what a question asks for, so relevance is NONE.
    """

    least: float = 0.5

    @property
    def identity(self) -> Mapping[str, Any]:
        """The threshold."""
        return {"rule": "rougeL", "least": self.least}

    def judge(self, cases: Sequence[Case], folder: Path) -> list[Verdict]:
        """Return a verdict for each case."""
        scores = [rouge(case.right, case.reply)["rougeL"] for case in cases]
        return [{"relevant": NONE, "correct": _said(score >= self.least)} for score in scores]


def _said(value: bool) -> str:
    return YES if value else NO
