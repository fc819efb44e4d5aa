"""Yes or no: the surface forms of both answers, what a reply says, and how sure of "yes" it is."""

import math
import re
from collections.abc import Sequence

from mllm.evaluation.parsing import normalise

YES = ("Yes", "yes", "YES")
NO = ("No", "no", "NO")
# What may stand before an answer, such as "The answer is: ".
ANNOUNCEMENT = re.compile(
    r"\s*(?:the\s+)?(?:(?:correct|right|final)\s+)?answer\s*(?:is\s*:?|:)\s*", re.IGNORECASE
)


def is_yes(text: str) -> bool:
    """Return whether a form says yes, whatever its case, white space and final full stop.

    Raises:
      ValueError: it says neither yes nor no.
    """
    said = text.strip().removesuffix(".").casefold()
    if said not in ("yes", "no"):
        raise ValueError(f"choice {text!r}: expected a form of yes or no")
    return said == "yes"


def says_yes(reply: str) -> bool | None:
    """Return whether a reply says yes; None where it says neither yes nor no.

    The first word decides, possibly after an announcement. A later line that begins with the other
    word makes it none.
    """
    lines = [line for line in reply.splitlines() if line.strip()]
    first = [normalise(ANNOUNCEMENT.sub("", line, count=1)).split()[:1] for line in lines]
    said = {words[0] for words in first if words and words[0] in ("yes", "no")}
    if not first or len(said) != 1 or first[0] != list(said):
        return None
    return said == {"yes"}


def log_odds(texts: Sequence[str], logprobs: Sequence[float]) -> float:
    """Return log p(yes) - log p(no), each summed over its forms.

    Args:
      texts: forms of both answers. logprobs: of each form, in nats.

    Raises:
      ValueError: a text says neither yes nor no, or one of the answers has no form.
    """
    said = [is_yes(text) for text in texts]
    if len(set(said)) < 2:
        raise ValueError(f"choices {tuple(texts)}: expected forms of yes and of no")
    pairs = list(zip(said, logprobs, strict=True))
    yes, no = (_sum([value for is_it, value in pairs if is_it == side]) for side in (True, False))
    return yes - no


def shared(texts: Sequence[str], score: float) -> tuple[float, ...]:
    """Return log-probabilities of forms with p(yes) = sigmoid(score) and p(no) = sigmoid(-score),
    each shared evenly among its forms: ``log_odds`` gives the score back.

    Raises:
      ValueError: a text says neither yes nor no.
    """
    said = [is_yes(text) for text in texts]
    logs = {side: _log_sigmoid(score if side else -score) for side in (True, False)}
    return tuple(logs[side] - math.log(said.count(side)) for side in said)


def _log_sigmoid(value: float) -> float:
    return min(value, 0.0) - math.log1p(math.exp(-abs(value)))


def _sum(logs: Sequence[float]) -> float:
    """Return the logarithm of a sum of numbers that are given by their logarithms."""
    largest = max(logs)
    if math.isinf(largest):
        return largest
    return largest + math.log(math.fsum(math.exp(value - largest) for value in logs))
