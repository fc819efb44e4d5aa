"""A conversation as ids and media: what packing, evaluation and the API lay out in rows."""

from dataclasses import dataclass
from functools import cached_property

from mllm.data.conversation import Media


@dataclass(frozen=True)
class Span:
    """One run of media tokens: an image, a tile of a split one, a clip.

    Attributes:
      start: index of its first token. length: tokens.
      media: which of ``Encoded.media`` it shows; the runs of one medium follow each other in the
        order of its tiles.
    """

    start: int
    length: int
    media: int


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
