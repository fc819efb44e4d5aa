"""What a judge is given, and what it says.

Relevance and correctness are judged apart. A reply is relevant if it is of the kind that the
question asks for, right or wrong: a place for "Where …?". It is correct if it states the fact. A
model that no longer knows a fact still gives relevant replies; one that no longer writes language
does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

ASPECTS = ("relevant", "correct")
# What is said of an aspect. UNREAD: the judge's own reply states no verdict. ERROR: it gave none,
# and may be asked again. NONE: this judge cannot tell this aspect of this case.
YES, NO, UNREAD, ERROR, NONE = "yes", "no", "unread", "error", "none"


@dataclass(frozen=True)
class Case:
    """A reply to be judged.

    Attributes:
      key: names the reply.
      cluster: what the question is a sample of.
      question: as a person would put it.
      right: an answer that is right, in the form that was asked for.
      reply: what the model said.
      fact: the part of ``right`` that makes it right, "" where that is not known.
      kind: values that answers to such a question take, with or without ``fact``; none where they
        are not known.
      tags: what else is known of the question, for whoever reads the verdicts.
    """

    key: str
    cluster: str
    question: str
    right: str
    reply: str
    fact: str = ""
    kind: tuple[str, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)


Verdict = dict[str, str]  # aspect -> what is said of it


class Judge(Protocol):
    """Anything that judges replies."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """JSON values that its verdicts follow from besides the case."""
        ...

    def judge(self, cases: Sequence[Case], folder: Path) -> list[Verdict]:
        """Return a verdict for each case.

        Args:
          folder: where a judge keeps answers that it paid for.
        """
        ...
