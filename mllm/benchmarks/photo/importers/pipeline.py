"""From comments on photographs to critiques: clean, summarise, filter, convert."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mllm.benchmarks.photo.importers.cleaning import clean_comments
from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.mcq import Reader
from mllm.benchmarks.photo.importers.options import ACTIONS, LEAVE_OUT, Options
from mllm.benchmarks.photo.importers.rows import Place
from mllm.benchmarks.photo.importers.writing import (
    Parts,
    about_critique,
    blind,
    read_critique,
    read_parts,
    read_question,
    read_verdict,
    summarise,
)
from mllm.benchmarks.photo.prompts import LETTERS, place_of, rotated
from mllm.benchmarks.photo.row import Question
from mllm.evaluation.parsing import parse_choice
from mllm.evaluation.request import Answerer, Reply, Request


@dataclass(frozen=True)
class Commented:
    """A photograph with what people said of it."""

    path: Path
    digest: str
    places: tuple[Place, ...]
    comments: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """What became of the comments: a critique, or the step that rejected them and why.

    ``no_question`` says why a critique has no question.
    """

    one: Commented
    sentences: tuple[str, ...]
    dropped: Counter
    critique: str = ""
    parts: Parts | None = None
    questions: tuple[Question, ...] = ()
    step: str = ""
    reason: str = ""
    no_question: str = ""

    def record(self, table: str) -> dict[str, Any]:
        """Return where it comes from, as JSON values."""
        found = {
            "table": table,
            "rows": [place.at for place in self.one.places],
            "source_comments": list(self.one.comments),
            "kept_sentences": list(self.sentences),
            "dropped_sentences": dict(self.dropped),
            "critique": self.critique,
        }
        why = {"step": self.step, "reason": self.reason, "no_question": self.no_question}
        return found | {name: text for name, text in why.items() if text}


def write(lot: Sequence[Commented], writer: Answerer, ledger: Ledger) -> list[Written]:
    """Return what becomes of the comments on photographs, in their order.

    Raises:
      ValueError: the writer failed and may answer another time; what it wrote is kept.
    """
    steps = _Steps(lot, writer, ledger)
    steps.clean()
    steps.summarise()
    steps.filter()
    steps.convert()
    return [steps.done[one.digest] for one in lot]


class _Steps:
    """The steps on a lot of photographs, each of which leaves fewer.

    Attributes:
      done: what became of a photograph, by its digest.
    """

    def __init__(self, lot: Sequence[Commented], writer: Answerer, ledger: Ledger):
        self._lot, self._writer, self._ledger = lot, writer, ledger
        self._cleaned = {one.digest: clean_comments(one.comments) for one in lot}
        self._critiques: dict[str, str] = {}
        self.done: dict[str, Written] = {}

    @property
    def _left(self) -> list[Commented]:
        return [one for one in self._lot if one.digest not in self.done]

    def _finish(self, one: Commented, **made: Any) -> None:
        cleaned, critique = self._cleaned[one.digest], self._critiques.get(one.digest, "")
        self.done[one.digest] = Written(one, cleaned.sentences, cleaned.dropped, critique, **made)

    def _reject(self, one: Commented, step: str, reason: str) -> None:
        self._finish(one, step=step, reason=reason)
        self._ledger.counts[f"rejected_in_{step}"] += 1

    def _about(self, step: str) -> list[Reply]:
        """Return the replies of a step about the critiques that are left."""
        critiques = [self._critiques[one.digest] for one in self._left]
        return _ask(self._writer, [about_critique(step, critique) for critique in critiques])

    def clean(self) -> None:
        """Reject where no sentence is left."""
        for one in self._left:
            cleaned = self._cleaned[one.digest]
            self._ledger.counts["sentences_dropped"] += sum(cleaned.dropped.values())
            if not cleaned.sentences:
                self._reject(one, "clean", "no sentence is about the photograph")

    def summarise(self) -> None:
        """Let the writer make a critique of the sentences."""
        left = self._left
        requests = [summarise(self._cleaned[one.digest].sentences) for one in left]
        for one, reply in zip(left, _ask(self._writer, requests), strict=True):
            if critique := read_critique(_text(reply)):
                self._critiques[one.digest] = critique
            else:
                why = _why(reply, "the comments say nothing of the photograph")
                self._reject(one, "summarise", why)

    def filter(self) -> None:
        """Let the writer judge the critiques."""
        for one, reply in zip(self._left, self._about("filter"), strict=True):
            if not read_verdict(_text(reply)):
                self._reject(one, "filter", _why(reply, f"the verdict is {reply.text!r}"))

    def convert(self) -> None:
        """Let the writer make parts and a question of the critiques."""
        left, parted, asked = self._left, self._about("convert"), self._about("ask")
        found = [_question(one, reply) for one, reply in zip(left, asked, strict=True)]
        written = [question for question, _ in found if question is not None]
        known = _answered_blindly(written, self._writer)
        for one, reply, (question, why) in zip(left, parted, found, strict=True):
            parts = read_parts(_text(reply))
            if parts is None:
                self._reject(one, "convert", _why(reply, "no description stands in the reply"))
                continue
            if question is not None and question.id in known:
                question, why = None, "answered without the photograph, in all orders of options"
            if question is None:
                self._ledger.counts["without_question"] += 1
            questions = () if question is None else (question,)
            self._finish(one, parts=parts, questions=questions, no_question=why)


def _ask(writer: Answerer, requests: Sequence[Request]) -> list[Reply]:
    """Return the replies in the order of the requests; ValueError where a service failed."""
    distinct = list({request.key: request for request in requests}.values())
    replies = {reply.key: reply for lot in writer.answer(distinct, set()) for reply in lot}
    if failed := [one for one in replies.values() if one.extra.get("again")]:
        raise ValueError(
            f"the writer failed {len(failed)} of {len(replies)} times, first: "
            f"{failed[0].extra.get('reason')}; what it wrote is kept, so run the command again"
        )
    return [replies[request.key] for request in requests]


def _text(reply: Reply) -> str:
    """Return what a writer wrote; nothing where it declined."""
    return reply.text or "" if reply.state == "valid" else ""


def _why(reply: Reply, otherwise: str) -> str:
    state = f"the writer's reply is in state {reply.state!r}"
    return otherwise if reply.state == "valid" else state


def _question(one: Commented, reply: Reply) -> tuple[Question | None, str]:
    """Return the question that a writer wrote, or None and why it cannot be used."""
    row = read_question(_text(reply))
    if row is None:
        return None, _why(reply, "none was written")
    flaws = Ledger(dict.fromkeys(ACTIONS, LEAVE_OUT))
    place = Place(one.path, "question of the writer")
    asked = Reader(Options(), flaws).question(place, {**row, "image": one.path.name})
    if asked is None:
        (left_out,) = flaws.record()["left_out"].values()
        return None, left_out["cases"][0]
    id = f"{one.digest[:16]}-written"
    options = asked.options
    return Question(id, asked.topic, asked.subtopic, "", asked.question, options, asked.key), ""


def _answered_blindly(questions: Sequence[Question], writer: Answerer) -> set[str]:
    """Return the IDs of questions that the writer answers right without the photograph, in all
    four orders of their options: PhotoBench rejects those of low visual dependence.
    """
    orders = range(len(LETTERS))
    asked = [(one, order) for one in questions for order in orders]
    replies = _ask(writer, [blind(one, order) for one, order in asked])
    right = Counter()
    for (one, order), reply in zip(asked, replies, strict=True):
        options = dict(zip(LETTERS, rotated(one.options, order), strict=True))
        right[one.id] += parse_choice(_text(reply), options) == LETTERS[place_of(one.key, order)]
    return {id for id, count in right.items() if count == len(orders)}
