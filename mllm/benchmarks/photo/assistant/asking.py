"""What a model is asked about photographs, and what it says.

Replies are kept on disk by the picture, the question and the digest of the weights, so a run that
was stopped asks only what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mllm.benchmarks.photo.assistant.gates import Gates, Seen
from mllm.benchmarks.photo.prompts import about
from mllm.checkpoints.loaded import Loaded
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.kept_answers import Kept
from mllm.evaluation.request import Ask, Choices, Reply, Request, Text, content_key, described
from mllm.evaluation.runner import LocalModel
from mllm.ops.lora import merge_lora

ANSWERS = "answers"  # folder of what a model said
SURE = 0.5  # share from which an answer counts as seen, and advice follows from it


@dataclass(frozen=True)
class Question:
    """A question about any photograph.

    Attributes:
      part: where the answer stands in a critique.
      ask: for a text, or for the likeliest of several.
      topic, subtopic: of the topic tree; "" where it is about the whole.
      sentences: says each text that is asked about as a sentence. advice: what to do about those
        that are weaknesses.
    """

    part: str
    text: str
    ask: Ask
    topic: str = ""
    subtopic: str = ""
    sentences: Mapping[str, str] = field(default_factory=dict)
    advice: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Remark:
    """The answer to a question about one photograph.

    Attributes:
      text: the reply, or the likeliest of the texts that were asked about; None where the model
        gave none.
      ended: whether the reply came to its own end.
      share: probability of the text among those that were asked about; None for a reply.
      seen: how the model read the photograph under the question; None if it reads it alike
        whatever it is asked.
    """

    question: Question
    text: str | None
    ended: bool = True
    share: float | None = None
    seen: Seen | None = None

    @property
    def sentence(self) -> str | None:
        """What is seen, as a sentence."""
        return self.text and self.question.sentences.get(self.text, self.text)

    @property
    def sure(self) -> bool:
        """Whether the answer is a reply, or likelier than all others together."""
        return self.share is None or self.share >= SURE

    @property
    def advice(self) -> str | None:
        """What to do about it; None where it is no weakness, or not sure."""
        return self.question.advice.get(self.text) if self.sure else None


@dataclass(frozen=True, eq=False)
class Critic:
    """A model that is asked the same questions about each photograph.

    Attributes:
      loaded: the model. questions: about each photograph.
      folder: of the answers. rows: questions that are run together, 0 for as many as memory holds.
    """

    loaded: Loaded
    questions: Sequence[Question]
    folder: Path
    rows: int = 0

    @cached_property
    def digest(self) -> str:
        """Of the weights."""
        return self.loaded.digest()

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of what the model sees with, if it chooses among them by the question; else ()."""
        return tuple(self.loaded.config.vision.names) if self.loaded.model.instructed else ()

    @cached_property
    def _answerer(self) -> Kept:
        identity = LocalModel(self.loaded).identity
        named = {"checkpoint_digest": self.digest, "answerer": dict(identity)}
        return Kept(named, lambda: self.model, self.folder / ANSWERS)

    @cached_property
    def model(self) -> LocalModel:
        """The model as it is asked."""
        variables = split_for_decoding(merge_lora(self.loaded.variables))
        return LocalModel(replace(self.loaded, variables=variables), rows=self.rows)

    @cached_property
    def _gates(self) -> Gates:
        return Gates(lambda: self.model, self._answerer.context, self._answerer.place)

    def remarks(self, pictures: Sequence[bytes]) -> list[list[Remark]]:
        """Return the answers to all questions about each picture; those on disk are not asked."""
        asked = [[request_of(picture, one) for one in self.questions] for picture in pictures]
        requests = {request.key: request for row in asked for request in row}
        lots = self._answerer.answer(list(requests.values()), set())
        replies = {reply.key: reply for lot in lots for reply in lot}
        seen = self._gates.of(asked) if self.encoders else {}
        return [
            [
                replace(remark_of(question, replies[request.key]), seen=seen.get(request.key))
                for question, request in zip(self.questions, row, strict=True)
            ]
            for row in asked
        ]


def request_of(picture: bytes, question: Question) -> Request:
    """Return a question about a picture as a request; its key names both."""
    turns = about(picture, question.text)
    key = content_key(described(question.ask), turns=turns)
    return Request(key, key, {"part": question.part, "topic": question.topic}, turns, question.ask)


def remark_of(question: Question, reply: Reply) -> Remark:
    """Return what a reply says; a reply in any state but "valid" says nothing."""
    if reply.state != "valid":
        return Remark(question, None)
    if isinstance(question.ask, Text):
        return Remark(question, (reply.text or "").strip() or None, reply.ended)
    likeliest, share = _likeliest(question.ask, reply)
    return Remark(question, likeliest, share=share)


def _likeliest(ask: Choices, reply: Reply) -> tuple[str, float]:
    logprobs = np.asarray(reply.logprobs)
    shares = np.exp(logprobs - logprobs.max())
    place = int(shares.argmax())
    return ask.texts[place], float(shares[place] / shares.sum())
