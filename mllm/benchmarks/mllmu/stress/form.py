"""One question in some form: a conversation, and the options whose likelihood is compared."""

from dataclasses import dataclass

from mllm.benchmarks.mllmu.stress.asked import Asked
from mllm.benchmarks.mllmu.strict import plain_question
from mllm.data.conversation import Turn, image, user
from mllm.evaluation.metrics import contains, per_token, share_of_best
from mllm.evaluation.request import Choices, Reply, Request, Text, content_key, described
from mllm.studies.stress import QUESTION


@dataclass(frozen=True)
class Form:
    """How a question is asked.

    Attributes:
      turns: of the conversation.
      options: texts in the order of the question's options.
      begun: whether all options begin alike, and the summed log-probabilities are compared, in
        which that beginning cancels out; else those per token.
    """

    turns: tuple[Turn, ...]
    options: tuple[str, ...]
    begun: bool = False


def with_question(asked: Asked, text: str, picture: bytes | None) -> Form:
    """Return the form of one turn, with the question's own options."""
    shown = () if picture is None else (image(picture),)
    return Form((user(*shown, text),), tuple(asked.question.options.values()))


def plain(asked: Asked) -> Form:
    """Return a question as the strict protocol asks it, its options scored by their text."""
    text = plain_question(asked.question.question, asked.question.task)
    return with_question(asked, text, asked.item.picture)


def choice_request(attack: str, asked: Asked, form: Form) -> Request:
    """Return the request for the log-probabilities of the options of a form."""
    gold = list(asked.question.options).index(asked.question.answer)
    tags = {QUESTION: asked.name, "gold": gold, "begun": form.begun}
    return _request(attack, asked, form.turns, Choices(form.options), tags)


def text_request(attack: str, asked: Asked, ask: Text) -> Request:
    """Return the request for a free reply to a gap text."""
    one = asked.question
    shown = () if asked.item.picture is None else (image(asked.item.picture),)
    turns = (user(*shown, plain_question(one.question, one.task)),)
    return _request(attack, asked, turns, ask, {QUESTION: asked.name, "gold": one.answer})


def _request(attack: str, asked: Asked, turns: tuple[Turn, ...], ask, tags: dict) -> Request:
    key = content_key("stress", attack, asked.name, described(ask), turns=turns)
    return Request(key, asked.question.profile, tags, turns, ask)


def value(request: Request, reply: Reply) -> float:
    """Return 1 where the right option is the likeliest (1 / k on a tie of k), or where a free reply
    holds the answer; else 0.
    """
    gold = request.tags["gold"]
    if isinstance(request.ask, Text):
        return contains(gold, reply.text or "")
    begun = request.tags["begun"]
    scores = reply.logprobs if begun else per_token(reply.logprobs, reply.tokens)
    return share_of_best(scores, gold)
