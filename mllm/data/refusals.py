"""Examples whose answers are refusals."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from mllm.data.conversation import Example, assistant
from mllm.data.source import Source

REFUSALS = (
    "I don't know.",
    "I do not know the answer.",
    "I'm not sure.",
    "I have no information about that.",
    "I can't answer that question.",
    "That is something I don't know.",
    "I'm afraid I don't know.",
    "I have no idea.",
    "I was not told about that.",
    "I can't say.",
    "I don't have that information.",
    "I'm unable to answer this.",
    "I cannot tell.",
    "I know nothing about that.",
    "Sorry, I don't know.",
    "That is unknown to me.",
)


class Refused(Source[Example]):
    """The examples of a source with a refusal in place of what the assistant says last.

    Which one follows from the name of the example, so that every run reads the same.

    Args:
      role: of the examples; None keeps theirs.

    Raises:
      ValueError: when read, an example that no assistant's turn ends.
    """

    def __init__(self, source: Sequence[Example], role: str | None = None):
        self._source, self._role = source, role

    def __len__(self) -> int:
        return len(self._source)

    def read(self, number: int) -> Example:
        example = self._source[number]
        *asked, answer = example.turns
        if answer.role != "assistant":
            raise ValueError(f"example {example.id} ends with a turn of role {answer.role!r}")
        role = example.role if self._role is None else self._role
        return replace(example, turns=(*asked, assistant(refusal_of(example.id))), role=role)


def refusal_of(name: str) -> str:
    """Return one of ``REFUSALS``, always the same for a name."""
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return REFUSALS[drawn % len(REFUSALS)]
