"""Replies on disk: appended as they come, found again after a kill, never mixed with those of other
models, data or protocols.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mllm.data.conversation import Media, Turn
from mllm.evaluation.request import Answered, Answerer, Questions, Reply, Request, Rounds
from mllm.files import read_json, read_jsonl, write_json, write_text
from mllm.parallel.launch import is_first, require_same, wait_for_all
from mllm.registry import lookup

REPLIES, MANIFEST = "replies.jsonl", "manifest.json"
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
      folder: holds replies.jsonl and manifest.json.
      manifest: JSON values that must be equal for replies to be used again (digests of weights and
        data, the protocol). Replies of another manifest are kept under another name.
      progress: called with (replies so far, requests so far).

    Raises:
      ValueError: processes do not find the same replies, a request names a model that is not there,
        two different requests have the same key, or an answerer leaves a request without a reply.
    """
    path = folder / REPLIES
    if is_first():
        _prepare(folder, dict(manifest))
    wait_for_all(f"{path} is ready")
    stored = {row["key"]: read_reply(row) for row in read_jsonl(path)}
    replies = {key: reply for key, reply in stored.items() if not reply.extra.get("again")}
    require_same(str(path), " ".join(replies))  # also: the first one writes when all have read
    asked: dict[str, Request] = {}
    answered: list[Answered] = []

    def answer(requests: Sequence[Request]) -> list[Reply]:
        for request in requests:
            bare = _without_media(request)
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
                    _append(path, [_row(rows[reply.key], reply) for reply in lot])
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
    manifest = {**manifest, **questions.conditions}
    answered = collect(questions.rounds, answerers, folder, manifest, progress=progress)
    records = questions.records(answered)
    if is_first():
        write_records(folder, records)
    return records


def _without_media(request: Request) -> Request:
    turns = [Turn(t.role, tuple(p for p in t.parts if isinstance(p, str))) for t in request.turns]
    return replace(request, turns=tuple(turns))


def read_reply(row: Mapping[str, Any]) -> Reply:
    """Return the reply of a row of replies.jsonl."""
    found = {name: row[name] for name in ("key", "text", "ended", "state", "extra")}
    for name in ("logprobs", "tokens"):
        found[name] = None if row[name] is None else tuple(row[name])
    return Reply(**found)


def _row(request: Request, reply: Reply) -> dict[str, Any]:
    """Return the reply with what a person needs to read it; media stand under their digests."""
    return {
        "key": request.key,
        "model": request.model,
        "cluster": request.cluster,
        "tags": dict(request.tags),
        "turns": [_readable(turn) for turn in request.turns],
        "ask": asdict(request.ask),
        **{name: value for name, value in asdict(reply).items() if name != "key"},
    }


def _readable(turn: Turn) -> dict[str, Any]:
    shown = [{part.kind: part.digest} if isinstance(part, Media) else part for part in turn.parts]
    return {"role": turn.role, "parts": shown}


def _prepare(folder: Path, manifest: dict) -> None:
    """Make the folder ready for more replies.

    Replies of another manifest are renamed. A line torn by a kill is dropped, since the next one
    would be glued to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, stamp = folder / REPLIES, folder / MANIFEST
    if stamp.exists() and read_json(stamp) != manifest and path.exists():
        old = hashlib.sha256(stamp.read_bytes()).hexdigest()[:12]
        os.replace(path, folder / f"replies-{old}.jsonl")
    if not stamp.exists() or read_json(stamp) != manifest:
        write_json(stamp, manifest)
    kept = {row["key"]: row for row in read_jsonl(path)}
    lines = "".join(_line(row) for row in kept.values())
    if not path.exists() or path.read_text(encoding="utf-8") != lines:
        write_text(path, lines)


def write_records(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records.jsonl, one row per question."""
    write_text(folder / RECORDS, "".join(_line(record) for record in records))


def _append(path: Path, rows: Sequence[dict]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(map(_line, rows))
        file.flush()
        os.fsync(file.fileno())


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
