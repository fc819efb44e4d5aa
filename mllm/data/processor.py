"""One object that turns text and images into what a model takes, and ids back into text; stored
with the weights.

Text is encoded whole, never in parts: what a tokenizer of the SentencePiece kind makes of a word
depends on what stands before it. So that nothing a user types becomes a special token, chat formats
write special tokens under private names (``prompts.MARK``), and a second tokenizer, derived from
the first, knows them under these names only.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image
from tokenizers import Tokenizer

from mllm.data import images
from mllm.data.images import ImageConfig, Picture
from mllm.data.private import privately_named
from mllm.data.prompts import (
    ANSWER_LEAD,
    CHAT_FORMATS,
    IMAGE,
    IMAGE_BLOCKS,
    MARK,
    Grid,
    Prompt,
    show_images,
    space_words,
    special,
)
from mllm.files import read_json, write_json
from mllm.registry import lookup

IMAGE_MARK = "<image>"
ANCHOR = "\ufdd1"  # a character that no token shares with another


@dataclass(frozen=True)
class ProcessorConfig(ImageConfig):
    """How images are cut, names of the special tokens, and the formats of ``mllm.data.prompts``.

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
        self._prompt_text("", [] if self.config.image is None else [(0, 0)], None)

    def token_id(self, token: str) -> int:
        """Id of a special token; ValueError where the tokenizer has none of that name."""
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
        """Whether the tokenizer itself puts a space in front of text behind a special token."""
        return '"Prepend"' in json.dumps(json.loads(self.tokenizer.to_str())["normalizer"])

    @cached_property
    def _begin(self) -> list[int]:
        return [] if self.config.bos is None else [self.token_id(self.config.bos)]

    def _show(self, text: str, grids: Sequence[Grid], where: str) -> str:
        """The text with the blocks of its images."""
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

    def _prompt_text(self, question: str, grids: Sequence[Grid], system: str | None) -> Prompt:
        """(prefix, prompt), special tokens under private names."""
        chat = CHAT_FORMATS[self.config.chat_format]
        prefix, suffix = chat(question, len(grids), system)
        return self._show(prefix, grids, "prompt"), self._show(prefix + suffix, grids, "prompt")

    def _expand(self, ids: list[int]) -> list[int]:
        """An image token becomes the run of an image: here, and nowhere else."""
        if self.image_id is None:
            return ids
        run, once = [self.image_id] * self.config.image_tokens, self.image_id
        return [i for token in ids for i in (run if token == once else [token])]

    def _encode(self, text: str) -> list[int]:
        """Ids of text whose special tokens bear private names."""
        return self._expand(self._private.encode(text, add_special_tokens=False).ids)

    def _encode_raw(self, text: str) -> list[int]:
        """Ids of text whose special tokens bear their own names."""
        text = text.replace(MARK, "")
        return self._expand(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def prompt(
        self, question: str, grids: Sequence[Grid] = (), system: str | None = None
    ) -> tuple[list[int], list[int]]:
        """(prefix ids, suffix ids) of a question in the chat format, behind one image for each
        ``Picture.grid`` of ``grids``. Together they are the ids of the whole text.

        Raises:
          ValueError: there are images, but the model takes text only.
        """
        system = None if system is None else _typed(system)
        prefix, text = self._prompt_text(_typed(question), grids, system)
        before, ids = len(self._encode(prefix)), self._encode(text)
        return self._begin + ids[:before], ids[before:]

    def whole_prompt(
        self, text: str, grids: Sequence[Grid] = (), where: str = "prompt"
    ) -> list[int]:
        """Ids of a raw prompt in which names of special tokens are those tokens and ``<image>`` an
        image, one for each ``Picture.grid`` of ``grids``.

        Raises:
          ValueError: the prompt is empty, or has not as many ``<image>`` as there are images.
        """
        text, found = _typed(text), text.count(IMAGE_MARK)
        if self.config.image is not None and found != len(grids):
            raise ValueError(f"{where}: {found} times {IMAGE_MARK}, but {len(grids)} images")
        shown = text if not grids else text.replace(IMAGE_MARK, IMAGE)
        ids = self._begin + self._encode_raw(self._show(shown, grids, where))
        if not ids:
            raise ValueError(f"{where}: is empty")
        return ids

    def answer(self, text: str, ended: bool = True) -> list[int]:
        """Ids of an answer as it follows a prompt, with the end token if ``ended``."""
        name = self.config.chat_format
        _, context = CHAT_FORMATS[name]("")
        ids = _behind(self._encode, context, ANSWER_LEAD[name] + _typed(text))
        return [*ids, self.eos_id] if ended else ids

    def continuation(self, text: str, more: str) -> list[int]:
        """Ids of ``more`` right behind the raw prompt ``text``."""
        return _behind(self._encode_raw, _typed(text), _typed(more))

    def until_end(self, ids: list[int]) -> list[int]:
        """Generated ids before the first end token, all of them where there is none."""
        return ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids

    def decode(self, ids: list[int]) -> str:
        """Text of generated ids, special tokens left out, outer white space stripped."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True).strip()

    def picture(self, data: bytes, where: str = "image") -> Picture:
        """The tiles of an encoded image; ValueError starting with ``where``."""
        return self.arrange(images.decode(data, where, self.config.alpha), where)

    def arrange(self, image: Image.Image, where: str = "image") -> Picture:
        """The tiles of an RGB image."""
        return images.make_picture(image, self.config, where)

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
    """What a user typed, without the mark of special tokens."""
    return text.replace(MARK, "")


def _behind(encode, context: str, text: str) -> list[int]:
    """Ids of the text as it stands behind the context.

    Where the two would share a token, the text is encoded behind ``ANCHOR`` instead: the ids of the
    context stay what they are, since a model has read them by then.
    """
    for before in (context, ANCHOR):
        head, ids = encode(before), encode(before + text)
        if ids[: len(head)] == head:
            return ids[len(head) :]
    return encode(text)


def read_tokenizer(path: Path) -> Tokenizer:
    """A ``tokenizer.json``; FileNotFoundError or ValueError naming it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{path}: not a tokenizer.json ({error})") from None
    tokenizer.no_truncation()  # what a file was saved with is no property of the model
    tokenizer.no_padding()
    return tokenizer
