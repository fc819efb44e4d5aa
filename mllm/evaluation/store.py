"""Replies on disk: appended as they come, found again after a kill, never mixed with those of other
models, data or protocols. Pictures that a model drew are files next to them.

Each line is sealed together with the manifest. A line that was changed, or that belongs to another
model, other data or another protocol, is not a reply of this evaluation and is asked again.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mllm.data.conversation import Turn
from mllm.evaluation import kept_media
from mllm.evaluation.places import MANIFEST, SCORING, read_manifest
from mllm.evaluation.request import (
    Answered,
    Answerer,
    Picture,
    Questions,
    Reply,
    Request,
    Rounds,
    content_key,
    described,
    readable,
)
from mllm.files import is_sealed, read_jsonl, seal, write_sealed, write_text
from mllm.parallel.launch import is_first, require_same, wait_for_all
from mllm.registry import lookup

REPLIES = "replies.jsonl"
RECORDS = "records.jsonl"  # what a benchmark makes of the replies: one row per question, with gold


def collect(
    rounds: Rounds,
    answerers: Mapping[str, Answerer],
    folder: Path,
    manifest: Mapping[str, Any],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Answered]:
    """Answer all rounds of a benchmark and return every request with its reply, in order.

    What is on disk is not asked again, except a reply with ``extra["again"]``: a service failed,
    and may answer now. A finished run makes no model call. The requests that come back hold no
    media, so that a benchmark may show more of them than memory holds. Every process asks the same;
    the first one writes.

    Args:
      rounds: of ``Benchmark.rounds``. An error of an answerer is raised inside it first, so that a
        protocol can add what to do.
      answerers: by ``Request.model``.
      folder: holds replies.jsonl, manifest.json, and the media of replies.
      manifest: JSON values that must be equal for replies to be used again (digests of weights and
        data, the protocol), except for how they are scored. Other replies are kept under another
        name.
      progress: called with (replies so far, requests so far).

    Raises:
      ValueError: processes do not find the same replies, a request names a model that is not there,
        two different requests have the same key, or an answerer leaves a request without a reply.
    """
    path, context = folder / REPLIES, _context(manifest)
    if is_first():
        _prepare(folder, manifest, context)
    wait_for_all(f"{path} is ready")
    stored = {row["key"]: read_reply(row, folder) for row in read_jsonl(path)}
    replies = {key: reply for key, reply in stored.items() if not reply.extra.get("again")}
    require_same(str(path), " ".join(replies))  # also: the first one writes when all have read
    asked: dict[str, Request] = {}
    answered: list[Answered] = []

    def answer(requests: Sequence[Request]) -> list[Reply]:
        for request in requests:
            bare = without_media(request)
            if asked.setdefault(request.key, bare) != bare:
                raise ValueError(f"two different requests have the key {request.key!r}")
        rows = {request.key: request for request in requests}
        there = len(asked) - sum(key not in replies for key in rows)
        for name in dict.fromkeys(request.model for request in requests):
            mine = [request for request in requests if request.model == name]
            if all(request.key in replies for request in mine):
                continue
            answerer = lookup(dict(answerers), name, "model that a request asks")
            for lot in answerer.answer(mine, set(replies)):
                replies.update((reply.key, reply) for reply in lot)
                if is_first():
                    for reply in lot:
                        if reply.media is not None:
                            kept_media.keep(folder, reply.media)
                    lines = [seal(row_of(rows[reply.key], reply), context) for reply in lot]
                    _append(path, lines)
                there += len(lot)
                if progress is not None:
                    progress(there, len(asked))
            if missing := [request.key for request in mine if request.key not in replies]:
                raise ValueError(
                    f"model {name!r} left {len(missing)} of {len(mine)} requests without a reply, "
                    f"first {missing[0]!r}"
                )
        return [replies[request.key] for request in requests]

    try:
        requests = next(rounds)
        while True:
            try:
                found = answer(requests)
            except ValueError as error:
                requests = rounds.throw(error)
                continue
            answered += [(asked[reply.key], reply) for reply in found]
            requests = rounds.send(found)
    except StopIteration:
        return answered


def ask(
    questions: Questions,
    answerers: Mapping[str, Answerer],
    folder: Path,
    manifest: Mapping[str, Any],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict]:
    """Ask what is not answered yet, and write and return a record for each question.

    Args:
      answerers, folder, progress: see ``collect``. manifest: the conditions besides those of the
        questions.
    """
    manifest = whole_manifest(manifest, questions)
    answered = collect(questions.rounds, answerers, folder, manifest, progress=progress)
    records = questions.records(answered)
    if is_first():
        write_records(folder, records)
    return records


def whole_manifest(manifest: Mapping[str, Any], questions: Questions) -> dict[str, Any]:
    """Return what an evaluation depends on, as JSON values: a manifest with the conditions of its
    questions.
    """
    scoring = {SCORING: dict(questions.scoring)} if questions.scoring else {}
    return json.loads(json.dumps({**manifest, **questions.conditions, **scoring}))


def with_questions_named(questions: Questions) -> Questions:
    """Return questions with one more condition, the digest of the first round that they ask.

    Whatever a request holds is in its key. So two evaluations with equal conditions were asked the
    same: about as many people, in the same words, with the same examples.
    """
    first = next(questions.rounds, [])
    named = content_key([request.key for request in first])
    return replace(
        questions,
        rounds=_again(first, questions.rounds),
        conditions={**questions.conditions, "questions": named},
    )


def _again(first: list[Request], rounds: Rounds) -> Rounds:
    """Yield the first round, which was taken already, and then the others."""
    requests = first
    try:
        while True:
            try:
                replies = yield requests
            except ValueError as error:
                requests = rounds.throw(error)
            else:
                requests = rounds.send(replies)
    except StopIteration:
        return


def use_replies_of(other: Path, folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Copy the replies of an evaluation that differs in nothing but how they are scored; return
    whether there were any.
    """
    held, path = read_manifest(other), other / REPLIES
    if held is None or not path.is_file() or _context(held) != _context(manifest):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    kept_media.copy(other, folder)
    shutil.copyfile(path, folder / REPLIES)
    return True


def _context(manifest: Mapping[str, Any]) -> str:
    """Return a digest of all that replies depend on besides their requests."""
    known = {key: value for key, value in manifest.items() if key != SCORING}
    return content_key(known)


def without_media(request: Request) -> Request:
    """Return a request with the texts of its conversations alone."""
    ask = request.ask
    if isinstance(ask, Picture):
        ask = replace(ask, other=_bare(ask.other))
    return replace(request, turns=_bare(request.turns), ask=ask)


def _bare(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    return tuple(Turn(t.role, tuple(p for p in t.parts if isinstance(p, str))) for t in turns)


def read_reply(row: Mapping[str, Any], folder: Path) -> Reply:
    """Return the reply of a row of the replies.jsonl of a folder."""
    found = {name: row[name] for name in ("key", "text", "ended", "state", "extra")}
    for name in ("logprobs", "tokens"):
        found[name] = None if row[name] is None else tuple(row[name])
    if "media" in row:
        found["media"] = kept_media.find(folder, row["media"])
    return Reply(**found)


def row_of(request: Request, reply: Reply) -> dict[str, Any]:
    """Return the reply with what a person needs to read it; media stand under their digests."""
    answer = asdict(replace(reply, media=None))
    del answer["key"], answer["media"]
    return {
        "key": request.key,
        "model": request.model,
        "cluster": request.cluster,
        "tags": dict(request.tags),
        "turns": [readable(turn) for turn in request.turns],
        "ask": described(request.ask),
        **answer,
        **({} if reply.media is None else {"media": kept_media.named(reply.media)}),
    }


def _prepare(folder: Path, manifest: Mapping[str, Any], context: str) -> None:
    """Make the folder ready for more replies.

    Lines that are no replies of this evaluation are kept under another name. A line torn by a kill
    is dropped, since the next one would be glued to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / REPLIES
    found = path.read_bytes() if path.is_file() else b""
    lines = found.split(b"\n")[:-1]  # what follows the last newline is unfinished
    rows = [row for line in lines if (row := read_sealed_row(line, context)) is not None]
    whole = [row for row in rows if "media" not in row or kept_media.find(folder, row["media"])]
    if missing := len(rows) - len(whole):
        print(
            f"{folder / kept_media.MEDIA}: the files of {missing} replies are missing or were "
            "changed; these are asked again",
            file=sys.stderr,
            flush=True,
        )
    kept = "".join(line_of(row) for row in {row["key"]: row for row in whole}.values())
    if lost := len(lines) - len(rows):
        aside = path.with_name(f"replies-{hashlib.sha256(found).hexdigest()[:12]}.jsonl")
        os.replace(path, aside)
        print(
            f"{path}: {lost} of {len(lines)} lines were changed, or are no replies of this model "
            f"to this protocol; they are asked again, and the file as it was is {aside.name}",
            file=sys.stderr,
            flush=True,
        )
    if lost or found != kept.encode():
        write_text(path, kept)
    if read_manifest(folder) != manifest:
        write_sealed(folder / MANIFEST, manifest)


def read_sealed_row(line: bytes, context: str) -> dict | None:
    """Return the row of a line that was written in a context, None if it was changed."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and is_sealed(row, context) else None


def write_records(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records.jsonl, one row per question."""
    write_text(folder / RECORDS, "".join(line_of(record) for record in records))


def _append(path: Path, rows: Sequence[dict]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(map(line_of, rows))
        file.flush()
        os.fsync(file.fileno())


def line_of(row: Mapping[str, Any]) -> str:
    """Return a row as a line of a file."""
    return json.dumps(row, ensure_ascii=False) + "\n"
