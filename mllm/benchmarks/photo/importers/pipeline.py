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
    done: dict[str, Written] = {}
    cleaned = {one.digest: clean_comments(one.comments) for one in lot}

    def reject(one: Commented, step: str, reason: str, critique: str = "") -> None:
        said = cleaned[one.digest]
        done[one.digest] = Written(
            one, said.sentences, said.dropped, critique, None, (), step, reason
        )
        ledger.counts[f"rejected_in_{step}"] += 1

    for one in lot:
        ledger.counts["sentences_dropped"] += sum(cleaned[one.digest].dropped.values())
        if not cleaned[one.digest].sentences:
            reject(one, "clean", "no sentence is about the photograph")
    left = [one for one in lot if one.digest not in done]
    said = _ask(writer, [summarise(cleaned[one.digest].sentences) for one in left])
    critiques = {}
    for one, reply in zip(left, said, strict=True):
        if critique := read_critique(_text(reply)):
            critiques[one.digest] = critique
        else:
            reject(one, "summarise", _why(reply, "the comments say nothing of the photograph"))
    left = [one for one in left if one.digest in critiques]
    texts = [critiques[one.digest] for one in left]
    verdicts = _ask(writer, [about_critique("filter", text) for text in texts])
    for one, text, reply in zip(left, texts, verdicts, strict=True):
        if not read_verdict(_text(reply)):
            reject(one, "filter", _why(reply, f"the verdict is {reply.text!r}"), text)
    left = [one for one in left if one.digest not in done]
    texts = [critiques[one.digest] for one in left]
    parted = _ask(writer, [about_critique("convert", text) for text in texts])
    asked = _ask(writer, [about_critique("ask", text) for text in texts])
    for one, text, parts in zip(left, texts, parted, strict=True):
        if read_parts(_text(parts)) is None:
            reject(one, "convert", _why(parts, "no description stands in the reply"), text)
    found = [_question(one, reply) for one, reply in zip(left, asked, strict=True)]
    known = _answered_blindly([question for question, _ in found if question], writer)
    for one, text, parts, (question, why) in zip(left, texts, parted, found, strict=True):
        if one.digest in done:
            continue
        if question is not None and question.id in known:
            question, why = None, "answered without the photograph, in each order of the options"
        if question is None:
            ledger.counts["without_question"] += 1
        cleaning = cleaned[one.digest]
        done[one.digest] = Written(
            one,
            cleaning.sentences,
            cleaning.dropped,
            text,
            read_parts(_text(parts)),
            () if question is None else (question,),
            no_question=why,
        )
    return [done[one.digest] for one in lot]


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
