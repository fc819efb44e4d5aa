"""A conversation as ids and media: what packing, evaluation and the API lay out in rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from mllm.data.conversation import Media, Turn

SHOWN = {"image": "images or tiles", "audio": "sounds"}  # what tokens of a kind stand for


class TokenRun(NamedTuple):
    """How many tokens follow each other for one media token of a text, and how many tiles of an
    image they show together.
    """

    length: int
    tiles: int = 1


@dataclass(frozen=True)
class Span:
    """One run of media tokens: an image, a tile of a split one, a clip.

    Attributes:
      start: index of its first token. length: tokens.
      media: which of ``Encoded.media`` it shows; the runs of one medium follow each other in the
        order of its tiles.
      tiles: how many tiles of an image it shows.
    """

    start: int
    length: int
    media: int
    tiles: int = 1


@dataclass(frozen=True)
class Encoded:
    """A conversation as a model reads it.

    Attributes:
      ids: of all tokens. media: what is shown, in order. spans: where, in order.
      supervised: (start, end) of what assistants say, in order.
    """

    ids: tuple[int, ...]
    media: tuple[Media, ...]
    spans: tuple[Span, ...]
    supervised: tuple[tuple[int, int], ...]

    @cached_property
    def content(self) -> tuple[int, ...]:
        """The ids, each media token replaced by a negative number that its medium determines.

        Two conversations say and show the same as far as their contents are equal.
        """
        content = list(self.ids)
        names = [content_number(media) for media in self.media]
        for span in self.spans:
            content[span.start : span.start + span.length] = [names[span.media]] * span.length
        return tuple(content)

    @property
    def media_tokens(self) -> int:
        """How many of the tokens are of media."""
        return sum(span.length for span in self.spans)


def content_number(media: Media) -> int:
    """Return the negative number below zero and of 62 bits that stands for a medium."""
    return -1 - int(media.digest[:15], 16)


def require_fit(encoded: Encoded, limit: int, where: str, *, reply: int = 0) -> None:
    """Check that a conversation fits a model, a row or whatever holds ``limit`` tokens.

    Args:
      where: names the conversation. reply: tokens that are to follow it.

    Raises:
      ValueError: it does not fit. Nothing is ever cut off.
    """
    taken = len(encoded.ids)
    if taken + reply <= limit:
        return
    shown = f", {encoded.media_tokens} of them of {len(encoded.media)} media" * bool(encoded.media)
    more = f" and needs {reply} more for the reply" * bool(reply)
    shorter = "shorten the text" + ", ask for a shorter reply" * bool(reply)
    fewer = ", show fewer media or do not split pictures" * bool(encoded.media)
    raise ValueError(
        f"{where}: has {taken} tokens{shown}{more}; there is room for {limit}: {shorter}{fewer}"
    )


def expand(
    begin: Sequence[int],
    tokens: Sequence[int],
    said: Sequence[tuple[int, int]],
    runs: Sequence[Sequence[TokenRun]],
    kinds: Sequence[str],
    media_ids: Mapping[str, int],
    where: str,
) -> tuple[list[int], list[Span], list[tuple[int, int]]]:
    """Turn each token that stands for a medium into a run of them.

    Args:
      begin: ids before the tokens. said: ranges of tokens that an assistant says.
      runs, kinds: of each medium, in order. media_ids: what stands for a medium of each kind.

    Returns:
      (ids, spans of media, supervised ranges of single tokens, those of media left out).

    Raises:
      ValueError: there are more or fewer tokens of a kind than runs, or in another order.
    """
    wanted = [(run, number) for number, those in enumerate(runs) for run in those]
    ids, spans, places = list(begin), [], []
    known = set(media_ids.values())
    found = [token for token in tokens if token in known]
    expected = [media_ids.get(kinds[number]) for _, number in wanted]
    if found != expected:
        for kind in ("image", "audio"):
            count, index = [kinds[number] for _, number in wanted].count(kind), media_ids.get(kind)
            if (there := found.count(index)) != count:
                raise ValueError(f"{where}: {there} {kind} tokens for {count} {SHOWN[kind]}")
        raise ValueError(f"{where}: tokens of images and sounds stand in another order than these")
    for token in tokens:
        places.append(len(ids))
        if token in known:
            run, number = wanted[len(spans)]
            spans.append(Span(len(ids), run.length, number, run.tiles))
            ids += [token] * run.length
        else:
            ids.append(token)
    shown = {span.start for span in spans}
    taught = [places[i] for first, last in said for i in range(first, last)]
    return ids, spans, [(place, place + 1) for place in taught if place not in shown]


def check_order(turns: Sequence[Turn], generate: bool, where: str) -> None:
    """Check that turns follow each other in an order that can be encoded.

    Raises:
      ValueError: starting with ``where``.
    """
    roles = [turn.role for turn in turns]
    if not roles:
        raise ValueError(f"{where}: has no turns")
    if not generate and roles[-1] != "assistant":
        raise ValueError(
            f"{where}: ends with a turn of {roles[-1]!r}; expected an assistant's turn to learn "
            "from, or generate=True to answer"
        )
    if "raw" in roles and roles != (["raw"] if generate else ["raw", "assistant"]):
        raise ValueError(
            f"{where}: has turns of {roles}; a raw turn stands alone, and before an assistant's "
            "turn that is to be learned"
        )


def joined(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return ranges in order, adjacent ones made one and empty ones left out."""
    found: list[tuple[int, int]] = []
    for start, end in ranges:
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        elif end > start:
            found.append((start, end))
    return tuple(found)
