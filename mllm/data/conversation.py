"""What a model is shown and what it should say: media and text in the turns of a conversation."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

KINDS = ("image", "audio", "codes")
# What stands for a medium in a prompt that is written as one text.
IMAGE_MARK = "<image>"
AUDIO_MARK = "<audio>"
NAMES = {IMAGE_MARK: "images", AUDIO_MARK: "sounds"}
ROLES = ("system", "user", "assistant", "raw")


@dataclass(frozen=True)
class Media:
    """One picture, sound or sequence of codes, encoded as in its file.

    Attributes:
      instruction: the text under which an instructed model reads it (``Processor.encode`` sets it);
        "" for none.

    Raises:
      ValueError: ``kind`` is none of ``KINDS``.
    """

    kind: str
    data: bytes
    instruction: str = ""

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"media of kind {self.kind!r}, expected one of {KINDS}")

    @cached_property
    def digest(self) -> str:
        """sha256 hex of kind, data and instruction: media of equal digest are the same to every
        model.
        """
        shown = hashlib.sha256(self.kind.encode() + b"\0" + self.data).hexdigest()
        if not self.instruction:
            return shown
        return hashlib.sha256(f"{shown} {self.instruction}".encode()).hexdigest()

    @cached_property
    def bare(self) -> "Media":
        """The same medium under no instruction."""
        return replace(self, instruction="") if self.instruction else self


Part = str | Media


@dataclass(frozen=True)
class Turn:
    """What one speaker says: text and media in the order in which they are read.

    The role "raw" is for prompts whose every character is prescribed: its text is not put into a
    chat format, and names of special tokens in it are those tokens. A conversation holds one raw
    turn, and after it at most an assistant's answer.

    Attributes:
      literal: in a raw turn without media, whether even the name of the image token may be written,
        as a token that shows nothing. Otherwise it is an error, since a picture may be missing.

    Raises:
      ValueError: ``role`` is none of ``ROLES``.
    """

    role: str
    parts: tuple[Part, ...]
    literal: bool = False

    def __post_init__(self):
        if self.role not in ROLES:
            raise ValueError(f"turn of role {self.role!r}, expected one of {ROLES}")

    @property
    def text(self) -> str:
        """The text of the turn without its media."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def media(self) -> tuple[Media, ...]:
        """The media of the turn, in order."""
        return tuple(part for part in self.parts if isinstance(part, Media))


def image(data: bytes) -> Media:
    """Return a picture, the bytes of a PNG, JPEG or any other file that Pillow reads."""
    return Media("image", data)


def audio(data: bytes) -> Media:
    """Return a sound, the bytes of a WAV, FLAC, OGG, MP3 or other file that libsndfile reads."""
    return Media("audio", data)


def codes(ids: Sequence[int]) -> Media:
    """Return a picture as the numbers of its codes in a codebook, which models read as tokens."""
    return Media("codes", np.asarray(ids, "<u4").tobytes())


def code_ids(media: Media) -> list[int]:
    """Return the numbers of ``codes``."""
    return np.frombuffer(media.data, "<u4").tolist()


def system(*parts: Part) -> Turn:
    """Return a system turn."""
    return Turn("system", parts)


def user(*parts: Part) -> Turn:
    """Return a user's turn."""
    return Turn("user", parts)


def assistant(*parts: Part) -> Turn:
    """Return a turn that the model says, or should learn to say."""
    return Turn("assistant", parts)


def raw(*parts: Part) -> Turn:
    """Return a prompt that is read as it is written."""
    return Turn("raw", parts)


def raw_prompt(text: str, media: Sequence[Media], where: str = "prompt") -> Turn:
    """Return a raw turn in which each ``<image>`` of a text is one of the media, in order; and each
    ``<audio>`` too, if there are sounds among them.

    Raises:
      ValueError: there are more or fewer of them than media of their kind.
    """
    sounds = [medium for medium in media if medium.kind == "audio"]
    waiting = {IMAGE_MARK: [medium for medium in media if medium.kind != "audio"]}
    waiting |= {AUDIO_MARK: sounds} if sounds else {}
    for mark, shown in waiting.items():
        if text.count(mark) != len(shown):
            raise ValueError(
                f"{where}: {text.count(mark)} times {mark}, but {len(shown)} {NAMES[mark]}"
            )
    texts = re.split(f"({'|'.join(waiting)})", text)
    return raw(*(waiting[part].pop(0) if part in waiting else part for part in texts))


@dataclass(frozen=True)
class Example:
    """One conversation to learn from.

    Attributes:
      id: names the example in messages.
      cluster: what it is a sample of (a person, a picture): intervals resample clusters.
      turns: the conversation; what assistant turns say is supervised.
      role: which of its terms an objective puts the example into; "" where there is one term only.
    """

    id: str
    cluster: str
    turns: tuple[Turn, ...]
    role: str = ""
