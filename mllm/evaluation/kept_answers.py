"""Replies of a model that several runs of a study ask: each question is asked once, whoever asks.

A model that writes what other models then read, such as summaries or judgements, is asked the same
for every run that is compared. Its replies lie in its own folder, under a digest of its weights and
of what else they depend on; the key of a request follows from its content. So a reply is found
again by weights, prompt and media.
"""

import json
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mllm.evaluation import kept_media
from mllm.evaluation.request import Answered, Answerer, Reply, Request, Rounds, content_key
from mllm.evaluation.store import (
    REPLIES,
    line_of,
    read_reply,
    read_sealed_row,
    row_of,
    without_media,
)
from mllm.files import seal
from mllm.parallel.launch import is_first, require_same, wait_for_all
from mllm.registry import lookup

_LOCKS: dict[Path, threading.Lock] = defaultdict(threading.Lock)


@dataclass(frozen=True)
class Kept:
    """Answer from disk what another answerer has answered before; an ``Answerer``.

    Threads may ask at the same time. A line that was changed, or torn by a kill, is asked again.

    Attributes:
      named: JSON values that say what the replies depend on besides the requests: the digest of
        the weights and the identity of the answerer.
      make: returns the answerer; it is called when something is asked for the first time, so that
        no weights are read for what is there.
      folder: holds a folder of replies for each ``named``.
    """

    named: Mapping[str, Any]
    make: Callable[[], Answerer]
    folder: Path

    @property
    def identity(self) -> Mapping[str, Any]:
        """Of the answerer."""
        return self.named["answerer"]

    @cached_property
    def context(self) -> str:
        """What seals the lines, and names their folder."""
        return content_key(dict(self.named))

    @property
    def place(self) -> Path:
        """The folder of the replies."""
        return self.folder / self.context

    @cached_property
    def _inner(self) -> Answerer:
        return self.make()

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to all requests whose key is not in ``done``; those on disk first."""
        with _LOCKS[self.place.absolute()]:
            known = self._read()
            wanted = {request.key: request for request in requests if request.key not in done}
            if there := [known[key] for key in wanted if key in known]:
                yield there
            if len(there) == len(wanted):
                return
            for lot in self._inner.answer(requests, done | known.keys()):
                self._append([(wanted[reply.key], reply) for reply in lot])
                yield lot

    def _read(self) -> dict[str, Reply]:
        path = self.place / REPLIES
        wait_for_all(f"{path} is read")
        lines = path.read_bytes().split(b"\n") if path.is_file() else []
        rows = (read_sealed_row(line, self.context) for line in lines)
        known = {row["key"]: read_reply(row, self.place) for row in rows if self._is_whole(row)}
        require_same(str(path), json.dumps(sorted(known)))
        return known

    def _is_whole(self, row: Mapping[str, Any] | None) -> bool:
        """Return whether a row is a line as it was written, and its medium is there."""
        if row is None:
            return False
        return "media" not in row or kept_media.find(self.place, row["media"]) is not None

    def _append(self, answered: Sequence[Answered]) -> None:
        kept = [(request, reply) for request, reply in answered if not _failed(reply)]
        if not kept or not is_first():
            return
        self.place.mkdir(parents=True, exist_ok=True)
        for _, reply in kept:
            if reply.media is not None:
                kept_media.keep(self.place, reply.media)
        lines = "".join(line_of(seal(row_of(*one), self.context)) for one in kept)
        with (self.place / REPLIES).open("ab") as file:
            torn = file.tell() and not _ends_line(self.place / REPLIES)
            file.write(b"\n" * bool(torn) + lines.encode())
            file.flush()
            os.fsync(file.fileno())


def _failed(reply: Reply) -> bool:
    """Return whether another call may answer: a service failed."""
    return bool(reply.extra.get("again"))


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def answers_to(rounds: Rounds, answerers: Mapping[str, Answerer]) -> list[Answered]:
    """Answer all rounds and return every request, without its media, with its reply, in order.

    Nothing is written; ``Kept`` answerers remember what they are asked.

    Args:
      answerers: by ``Request.model``.

    Raises:
      ValueError: a request names a model that is not there, or one is left without a reply.
    """
    answered: list[Answered] = []
    requests = next(rounds, None)
    while requests is not None:
        replies: dict[str, Reply] = {}
        for name in dict.fromkeys(request.model for request in requests):
            mine = [request for request in requests if request.model == name]
            answerer = lookup(dict(answerers), name, "model that a request asks")
            replies.update((r.key, r) for lot in answerer.answer(mine, set()) for r in lot)
        if missing := [r.key for r in requests if r.key not in replies]:
            raise ValueError(
                f"{len(missing)} of {len(requests)} requests have no reply, first {missing[0]!r}"
            )
        answered += [(without_media(request), replies[request.key]) for request in requests]
        try:
            requests = rounds.send([replies[request.key] for request in requests])
        except StopIteration:
            requests = None
    return answered
