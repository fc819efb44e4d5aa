"""From comments on photographs to critiques: clean, summarise, filter, convert."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mllm.benchmarks.photo.importers.cleaning import clean_comments
from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.mcq import Reader
from mllm.benchmarks.photo.importers.options import LEAVE_OUT, Options
from mllm.benchmarks.photo.importers.rows import Place
from mllm.benchmarks.photo.importers.writing import (
    Parts,
    about_critique,
    read_critique,
    read_parts,
    read_question,
    read_verdict,
    summarise,
)
from mllm.benchmarks.photo.row import Question
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
    """What became of the comments: a critique, or the step that rejected them and why."""

    one: Commented
    sentences: tuple[str, ...]
    dropped: Counter
    critique: str = ""
    parts: Parts | None = None
    questions: tuple[Question, ...] = ()
    step: str = ""
    reason: str = ""

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
        return found | ({"step": self.step, "reason": self.reason} if self.step else {})


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
        if critique := read_critique(reply.text or ""):
            critiques[one.digest] = critique
        else:
            reject(one, "summarise", _why(reply, "the comments say nothing of the photograph"))
    left = [one for one in left if one.digest in critiques]
    texts = [critiques[one.digest] for one in left]
    verdicts = _ask(writer, [about_critique("filter", text) for text in texts])
    for one, text, reply in zip(left, texts, verdicts, strict=True):
        if not read_verdict(reply.text or ""):
            reject(one, "filter", _why(reply, f"the verdict is {reply.text!r}"), text)
    left = [one for one in left if one.digest not in done]
    texts = [critiques[one.digest] for one in left]
    parted = _ask(writer, [about_critique("convert", text) for text in texts])
    asked = _ask(writer, [about_critique("ask", text) for text in texts])
    for one, text, parts, question in zip(left, texts, parted, asked, strict=True):
        found = read_parts(parts.text or "")
        if found is None:
            reject(one, "convert", _why(parts, "no description stands in the reply"), text)
            continue
        cleaning = cleaned[one.digest]
        made = _questions(one, question, ledger)
        done[one.digest] = Written(one, cleaning.sentences, cleaning.dropped, text, found, made)
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


def _why(reply: Reply, otherwise: str) -> str:
    return (
        otherwise if reply.state == "valid" else f"the writer's reply is in state {reply.state!r}"
    )


def _questions(one: Commented, reply: Reply, ledger: Ledger) -> tuple[Question, ...]:
    """Return the question that a writer wrote, if it can be used; counts say why not."""
    row = read_question(reply.text or "")
    if row is None:
        ledger.counts["no_question_written"] += 1
        return ()
    own = Ledger(
        dict.fromkeys(("unusable_row", "unknown_topic", "other_number_of_options"), LEAVE_OUT)
    )
    place = Place(one.path, "question of the writer")
    asked = Reader(Options(), own).question(place, {**row, "image": one.path.name})
    if asked is None:
        ledger.counts["questions_rejected"] += 1
        return ()
    id = f"{one.digest[:16]}-written"
    return (
        Question(id, asked.topic, asked.subtopic, "", asked.question, asked.options, asked.key),
    )
