"""Examples as training keeps them: ids and places in small arrays, without their media, which are
read when a batch is made.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mllm.data.conversation import Example
from mllm.data.encoded import Encoded, content_number, require_fit
from mllm.data.processor import Processor


@dataclass(frozen=True, eq=False)
class Tokenized:
    """One example of a run.

    Attributes:
      index: its number among the run's examples, by which reference log-probabilities are kept.
      name: its id in messages. role: see ``conversation.Example``.
      ids: i32[n], all of its tokens.
      media: i64[m], ``content_number`` of each medium that it shows, in order.
      spans: i32[k, 4], the (start, length, medium, tiles) of each run of media tokens, in order.
      supervised: i32[a, 2], the (start, end) of what assistants say.
      drawn: i32[c, 2], the (start, end) of pictures that are written as codes, in order; the mark
        before the codes is left out, the one after them is not.
      pictures: i64[m], ``content_number`` of each medium without its instruction; None for
        ``media``, of a model that reads them under none.
      kinds: of each medium; () where all are pictures.
      instructions: i32[q] of each medium, ids of the instruction under which it is read; () where
        there is none.
      prefix: tokens that it may share with other examples, at least 1; no assistant says them.
      key: digest of the content of those: examples of equal keys share a row.
    """

    index: int
    name: str
    role: str
    ids: np.ndarray
    media: np.ndarray
    spans: np.ndarray
    supervised: np.ndarray
    prefix: int = 1
    key: bytes = b""
    drawn: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    pictures: np.ndarray | None = None
    instructions: tuple[np.ndarray, ...] = ()
    kinds: tuple[str, ...] = ()

    def __post_init__(self):
        if self.pictures is None:
            object.__setattr__(self, "pictures", self.media)

    @property
    def length(self) -> int:
        """Tokens after the prefix."""
        return len(self.ids) - self.prefix

    def of_kind(self, kind: str) -> list[tuple[int, int]]:
        """Return (number of the medium, its ``pictures``) of each medium of a kind, in order."""
        kinds = self.kinds or ("image",) * len(self.media)
        found = zip(kinds, self.pictures.tolist(), strict=True)
        return [(medium, number) for medium, (own, number) in enumerate(found) if own == kind]

    def content(self) -> np.ndarray:
        """Return i64[n], ``Encoded.content``."""
        content = self.ids.astype(np.int64)
        for start, length, medium, _ in self.spans:
            content[start : start + length] = self.media[medium]
        return content

    def breaks(self, text: bool = False) -> tuple[list[int], list[int]]:
        """Return where a shared prefix may end, ascending: after the first token and after each
        medium that stands before everything supervised, and after each such picture in codes.

        Args:
          text: whether it may also end before the first token of a medium; these places then come
            with those of pictures in codes.
        """
        first = int(self.supervised[0, 0]) if len(self.supervised) else len(self.ids)
        last = {int(medium): int(start + length) for start, length, medium, _ in self.spans}
        media = sorted({1, *(end for end in last.values() if 1 < end <= first)})
        others = {int(end) for _, end in self.drawn if end <= first}
        if text:
            starts = {int(medium): int(start) for start, _, medium, _ in reversed(self.spans)}
            others |= {start for start in starts.values() if 1 < start <= first}
        return media, sorted(others)


def tokenize(
    source: Sequence[Example],
    processor: Processor,
    *,
    limit: int,
    ended: bool = True,
    text: bool = False,
) -> list[Tokenized]:
    """Encode all examples of a random-access source, and find what they share.

    Args:
      limit: tokens that the model or a row can hold. ended: whether answers close with the end
        token. text: see ``share``.

    Raises:
      ValueError: an example does not fit or cannot be encoded; the message names it.
    """
    examples = []
    for index in range(len(source)):
        example = source[index]
        where = f"example {example.id}"
        encoded = processor.encode(example.turns, ended=ended, where=where)
        require_fit(encoded, limit, where)
        examples.append(compact(index, example, encoded, processor))
    return share(examples, text)


def compact(index: int, example: Example, encoded: Encoded, processor: Processor) -> Tokenized:
    """Return an encoded example in small arrays, without its media."""
    ids, codes = np.array(encoded.ids, np.int32), processor.config.codes
    ends, length = np.zeros(0, np.int64), 0
    if codes is not None:
        ends = np.flatnonzero(ids == processor.token_id(codes.end)) + 1
        length = codes.length + 1
    pictures, instructions = None, ()
    if processor.config.instructed:
        pictures = np.array([content_number(medium.bare) for medium in encoded.media], np.int64)
        found = map(processor.instruction_ids, encoded.media)
        instructions = tuple(np.array(those, np.int32) for those in found)
    kinds = tuple(medium.kind for medium in encoded.media)
    spans = [(s.start, s.length, s.media, s.tiles) for s in encoded.spans]
    return Tokenized(
        index,
        example.id,
        example.role,
        ids,
        np.array([content_number(medium) for medium in encoded.media], np.int64),
        np.array(spans, np.int32).reshape(-1, 4),
        np.array(encoded.supervised, np.int32).reshape(-1, 2),
        drawn=np.stack([ends - length, ends], axis=1).astype(np.int32),
        pictures=pictures,
        instructions=instructions,
        kinds=kinds if "audio" in kinds else (),
    )


def share(examples: Sequence[Tokenized], text: bool = False) -> list[Tokenized]:
    """Find by content which tokens each example shares with others.

    The prefix of an example ends after the deepest medium that another example of its role also
    shows after the same content. If there is none, it ends after its last medium that is not
    written as codes; without such media, it ends after the first token.

    Args:
      text: whether a prefix may also end right before a medium, where others go on otherwise.
    """

    def digests(example: Tokenized) -> dict[int, bytes]:
        content = example.content()
        return {
            end: hashlib.blake2b(content[:end].tobytes(), digest_size=16).digest()
            for ends in example.breaks(text)
            for end in ends
        }

    found = Counter((e.role, digest) for e in examples for digest in digests(e).values())
    shared = []
    for example in examples:
        known = digests(example)
        several = [end for end in known if end > 1 and found[example.role, known[end]] > 1]
        end = max(several or example.breaks()[0])
        shared.append(replace(example, prefix=end, key=known[end]))
    return shared
