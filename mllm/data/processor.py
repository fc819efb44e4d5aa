"""What turns conversations into ids and pictures, and ids back into text; stored with the weights.

Text is encoded whole, never in parts: what a tokenizer of the SentencePiece kind makes of a word
depends on what stands before it. So that nothing a user types becomes a special token, chat formats
write special tokens under private names (``blocks.MARK``), and a second tokenizer, derived from
the first, knows them under these names only.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from mllm.data import images
from mllm.data.blocks import (
    IMAGE,
    IMAGE_BLOCKS,
    MARK,
    Grid,
    show_images,
    space_words,
    special,
    written,
)
from mllm.data.cache import Cache
from mllm.data.chat import CHAT_FORMATS, Pieces
from mllm.data.conversation import IMAGE_MARK, Media, Turn, assistant, image, user
from mllm.data.encoded import Encoded, check_order, content_number, expand, joined
from mllm.data.images import ImageConfig, Picture
from mllm.data.private import privately_named
from mllm.files import read_json, require_file, write_json
from mllm.registry import lookup

KEPT = 256 * 2**20  # bytes of prepared pictures kept at hand; a split one may take megabytes
ANCHOR = "\ufdd1"  # a character that no token shares with another


@dataclass(frozen=True)
class ProcessorConfig(ImageConfig):
    """How images are cut, names of the special tokens, and the formats of ``mllm.data.chat``.

    ``bos`` is None where no token begins a row, ``image`` None in a text-only model.
    """

    chat_format: str = "llava"
    image_block: str = "plain"
    bos: str | None = "<s>"
    eos: str = "</s>"
    pad: str = "<pad>"
    image: str | None = "<image>"
    image_tokens: int = 16

    def __post_init__(self):
        super().__post_init__()
        lookup(CHAT_FORMATS, self.chat_format, "chat format")
        lookup(IMAGE_BLOCKS, self.image_block, "image block")


@dataclass(frozen=True)
class Processor:
    """A tokenizer, and what is shown to a model in which format."""

    config: ProcessorConfig
    tokenizer: Tokenizer

    def __post_init__(self):
        for token in self._named:
            self.token_id(token)
        shown = [] if self.config.image is None else [image(b"")]
        self._pieces([user(*shown, "")], True, [(0, 0)] * len(shown), "processor")

    def token_id(self, token: str) -> int:
        """Return the id of a special token; raise ValueError if the tokenizer has none of that
        name.
        """
        index = self.tokenizer.token_to_id(token)
        if index is None:
            raise ValueError(f"tokenizer has no token {token!r}, which the processor config names")
        return index

    @cached_property
    def eos_id(self) -> int:
        return self.token_id(self.config.eos)

    @cached_property
    def pad_id(self) -> int:
        return self.token_id(self.config.pad)

    @cached_property
    def image_id(self) -> int | None:
        return None if self.config.image is None else self.token_id(self.config.image)

    @property
    def _named(self) -> list[str]:
        names = self.config.bos, self.config.eos, self.config.pad, self.config.image
        return [name for name in names if name is not None]

    @cached_property
    def _private(self) -> Tokenizer:
        return privately_named(self.tokenizer, self._named)

    @cached_property
    def prepends(self) -> bool:
        """Whether the tokenizer itself puts a space before text that follows a special token."""
        return '"Prepend"' in json.dumps(json.loads(self.tokenizer.to_str())["normalizer"])

    @cached_property
    def _begin(self) -> list[int]:
        return [] if self.config.bos is None else [self.token_id(self.config.bos)]

    def _show(self, text: str, grids: Sequence[Grid], where: str) -> str:
        """Return the text with the blocks of its images."""
        if grids and self.config.image is None:
            raise ValueError(f"{where}: {len(grids)} images, but the model takes text only")
        text = show_images(text, grids, IMAGE_BLOCKS[self.config.image_block])
        if self.config.image_block == "idefics2" and not self.prepends:
            text = space_words(text)
        text = text.replace(IMAGE, special(self.config.image or IMAGE_MARK))
        for name in set(re.findall(f"{MARK}<[^<>]*>", text)):
            if self._private.token_to_id(name) is None:
                raise ValueError(
                    f"tokenizer has no special token {name[1:]!r}, which chat format "
                    f"{self.config.chat_format!r} or image block {self.config.image_block!r} needs"
                )
        return text

    def encode(
        self,
        turns: Sequence[Turn],
        *,
        generate: bool = False,
        ended: bool = True,
        where: str = "conversation",
    ) -> Encoded:
        """Encode a conversation.

        Args:
          generate: end with the lead of the assistant's next turn. Otherwise the last turn must be
            an assistant's, whose text is encoded as a model generates it: the tokens before it stay
            what they are without it.
          ended: close that last turn with the end token, which is supervised as its text is.
          where: names the conversation in messages.

        Raises:
          ValueError: the turns are in no order that can be encoded, media are of a kind that the
            model does not take or cannot be decoded, or a raw text names a medium that is not
            there.
        """
        turns = [Turn(t.role, tuple(_unmarked(part) for part in t.parts)) for t in turns]
        check_order(turns, generate, where)
        media = tuple(part for turn in turns for part in turn.media)
        self._check_kinds(media, where)
        grids = [self.grid(medium, where) for medium in media]
        answer = None if generate or turns[-1].media else turns.pop().text
        if turns and turns[0].role == "raw":
            text = self._raw_text(turns[0], grids, where)
            tokens, said = self.tokenizer.encode(text, add_special_tokens=False).ids, []
            answered = [] if answer is None else _following(self._encode_raw, text, answer)
        else:
            pieces = self._pieces(turns, generate or answer is not None, grids, where)
            tokens, said = self._encode_pieces(pieces, cut=not generate and answer is None)
            answered = [] if answer is None else self.answer(answer, ended=False)
        tiles = [rows * columns + 1 for rows, columns in grids]
        run = self.image_id, self.config.image_tokens
        ids, spans, supervised = expand(self._begin, tokens, said, tiles, *run, where)
        if not generate:
            end = [self.eos_id] if ended else []
            supervised.append((len(ids), len(ids) + len(answered) + len(end)))
            ids += [*answered, *end]
        if not ids:
            raise ValueError(f"{where}: is empty")
        return Encoded(tuple(ids), media, tuple(spans), joined(supervised))

    def _check_kinds(self, media: Sequence[Media], where: str) -> None:
        taken = [] if self.config.image is None else ["image"]
        for medium in media:
            if medium.kind not in taken:
                known = " and ".join(["text", *taken])
                raise ValueError(
                    f"{where}: shows a medium of kind {medium.kind!r}, but the model takes {known} "
                    "only"
                )

    def _pieces(
        self, turns: Sequence[Turn], generate: bool, grids: Sequence[Grid], where: str
    ) -> Pieces:
        """Return the text of turns in pieces, with the blocks of its images."""
        waiting = iter(grids)
        pieces = CHAT_FORMATS[self.config.chat_format](turns, generate)
        return [
            (self._show(text, list(islice(waiting, text.count(IMAGE))), where), said)
            for text, said in pieces
        ]

    def _raw_text(self, turn: Turn, grids: Sequence[Grid], where: str) -> str:
        """Return the text of a raw turn, whose special tokens bear their own names.

        Raises:
          ValueError: the name of the image token is written where a picture should stand.
        """
        names = {IMAGE_MARK, self.config.image} if self.config.image is not None else ()
        for part in turn.parts:
            for name in names:
                if isinstance(part, str) and name in part:
                    raise ValueError(
                        f"{where}: {name} is written in the text of a raw turn, but no picture "
                        "stands there; put the picture between two texts of the turn"
                    )
        text = "".join(written(p) if isinstance(p, Media) else p for p in turn.parts)
        return self._show(text, grids, where).replace(MARK, "")

    def _encode_pieces(self, pieces: Pieces, cut: bool) -> tuple[list[int], list[tuple[int, int]]]:
        """Return (tokens, ranges of those that an assistant says); text is encoded whole.

        Args:
          cut: leave out what follows the last piece that an assistant says.
        """
        if cut:
            last = max(i for i, (_, said) in enumerate(pieces) if said)
            pieces = pieces[: last + 1]
        encoding = self._private.encode("".join(t for t, _ in pieces), add_special_tokens=False)
        # A token belongs to the piece in which it ends.
        ends = np.array([max(end - 1, 0) for _, end in encoding.offsets], np.int64)
        said, start = [], 0
        for text, by_assistant in pieces:
            if by_assistant and text:
                first, last = np.searchsorted(ends, [start, start + len(text)]).tolist()
                said.append((first, last))
            start += len(text)
        return encoding.ids, said

    def grid(self, media: Media, where: str = "image") -> Grid:
        """Return (rows, columns) of an image's tiles; nothing is decoded if no image is split."""
        if not self.config.split:
            return 0, 0
        if media.digest not in self._grids:
            self._grids[media.digest] = self.prepare(media, where).grid
        return self._grids[media.digest]

    def prepare(self, media: Media, where: str = "image") -> Picture:
        """Return the tiles of an image; those used last are kept.

        Raises:
          ValueError: it cannot be decoded; the message starts with ``where``.
        """
        return self.prepared(content_number(media), lambda: media, where)

    def prepared(self, number: int, read: Callable[[], Media], where: str = "image") -> Picture:
        """Return the tiles of the image of a ``content_number``, which is read if they are not
        kept.
        """
        make = lambda: self.picture(read().data, where)  # noqa: E731
        return self._prepared.get(number, make, lambda picture: picture.tiles.nbytes)

    def tile_size(self, read: Callable[[], Media], where: str = "image") -> tuple[int, int]:
        """Return (height, width) of the largest tile of an image, which is read only if the size
        depends on it.
        """
        if self.config.transform != "idefics2":
            return self.config.image_size, self.config.image_size
        height, width = self.prepare(read(), where).tiles.shape[1:3]
        return height, width

    @cached_property
    def _grids(self) -> dict[str, Grid]:
        return {}

    @cached_property
    def _prepared(self) -> Cache:
        return Cache(KEPT)

    def _expand(self, ids: list[int]) -> list[int]:
        """Replace an image token by the run of an image."""
        if self.image_id is None:
            return ids
        run, once = [self.image_id] * self.config.image_tokens, self.image_id
        return [i for token in ids for i in (run if token == once else [token])]

    def _encode(self, text: str) -> list[int]:
        """Return the ids of text whose special tokens bear private names."""
        return self._expand(self._private.encode(text, add_special_tokens=False).ids)

    def _encode_raw(self, text: str) -> list[int]:
        """Return the ids of text whose special tokens bear their own names."""
        text = text.replace(MARK, "")
        return self._expand(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def answer(self, text: str, ended: bool = True) -> list[int]:
        """Return the ids of an answer as it follows a prompt, with the end token if ``ended``."""
        turns = [user(""), assistant(_typed(text))]
        pieces = CHAT_FORMATS[self.config.chat_format](turns, False)
        (place,) = (i for i, (_, said) in enumerate(pieces) if said)
        context = "".join(before for before, _ in pieces[:place])
        ids = _following(self._encode, context, pieces[place][0])
        return [*ids, self.eos_id] if ended else ids

    def continuation(self, text: str, more: str) -> list[int]:
        """Return the ids of ``more`` as it follows the raw prompt ``text``."""
        return _following(self._encode_raw, _typed(text), _typed(more))

    def until_end(self, ids: list[int]) -> list[int]:
        """Return generated ids before the first end token, all of them if there is none."""
        return ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids

    def decode(self, ids: list[int]) -> str:
        """Return the text of generated ids, special tokens left out, outer white space stripped."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True).strip()

    def picture(self, data: bytes, where: str = "image") -> Picture:
        """Return the tiles of an encoded image; raise ValueError starting with ``where``."""
        return self.arrange(images.decode(data, where, self.config.alpha), where)

    def arrange(self, image: Image.Image, where: str = "image") -> Picture:
        """Return the tiles of an RGB image."""
        return images.make_picture(image, self.config, where)

    def with_chat_format(self, name: str) -> "Processor":
        """Return a processor that writes conversations in another format.

        Raises:
          ValueError: the format is unknown, or needs a token that the tokenizer does not have.
        """
        return Processor(replace(self.config, chat_format=name), self.tokenizer)

    @cached_property
    def digest(self) -> str:
        """sha256 over all that changes what a model is shown."""
        content = json.dumps(asdict(self.config), sort_keys=True) + self.tokenizer.to_str()
        return hashlib.sha256(content.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` and ``processor.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "tokenizer.json", json.loads(self.tokenizer.to_str()))
        write_json(folder / "processor.json", asdict(self.config))

    @classmethod
    def load(cls, folder: Path) -> "Processor":
        """Read what ``save`` wrote; FileNotFoundError or ValueError naming the file."""
        config = read_json(folder / "processor.json")
        try:
            config = ProcessorConfig(**config)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{folder / 'processor.json'}: {error}") from None
        return cls(config, read_tokenizer(folder / "tokenizer.json"))


def _typed(text: str) -> str:
    """Return what a person wrote without the mark of special tokens."""
    return text.replace(MARK, "")


def _unmarked(part: str | Media) -> str | Media:
    return _typed(part) if isinstance(part, str) else part


def _following(encode, context: str, text: str) -> list[int]:
    """Return the ids of the text as it follows the context.

    Where the two would share a token, the text is encoded after ``ANCHOR`` instead: the ids of the
    context stay what they are, since a model has read them by then.
    """
    for before in (context, ANCHOR):
        head, ids = encode(before), encode(before + text)
        if ids[: len(head)] == head:
            return ids[len(head) :]
    return encode(text)


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a ``tokenizer.json``; raise FileNotFoundError or ValueError naming it."""
    require_file(path)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{path}: not a tokenizer.json ({error})") from None
    tokenizer.no_truncation()  # what a file was saved with is no property of the model
    tokenizer.no_padding()
    return tokenizer
