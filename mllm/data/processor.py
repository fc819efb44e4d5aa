"""One object that turns text and images into what a model takes, and ids back into text; stored
with the weights.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from mllm.data import images
from mllm.data.prompts import ANSWER_LEAD, CHAT_FORMATS, ImageSlot, Parts, Special
from mllm.files import read_json, write_json
from mllm.registry import lookup

IMAGE_MARK = "<image>"


@dataclass(frozen=True)
class ProcessorConfig:
    """Names of the special tokens, the chat format of ``mllm.data.prompts`` and the image size in
    pixels.

    ``bos`` is None where no token begins a row, ``image`` None in a text-only model.
    """

    chat_format: str = "llava"
    bos: str | None = "<s>"
    eos: str = "</s>"
    pad: str = "<pad>"
    image: str | None = "<image>"
    image_size: int = 64
    image_tokens: int = 16


@dataclass(frozen=True)
class Processor:
    """A tokenizer, a chat format and an image size."""

    config: ProcessorConfig
    tokenizer: Tokenizer

    def __post_init__(self):
        # Special tokens enter a row only as Special parts: found in a user's text they are ordinary
        # characters.
        self.tokenizer.encode_special_tokens = True
        lookup(CHAT_FORMATS, self.config.chat_format, "chat format")
        for role in ("bos", "eos", "pad", "image"):
            token = getattr(self.config, role)
            if token is not None:
                self.token_id(token)

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

    def encode(self, parts: Parts) -> list[int]:
        """Token ids of the parts; an image takes ``image_tokens`` places."""
        ids: list[int] = []
        for part in parts:
            if isinstance(part, ImageSlot):
                ids += [self.image_id] * self.config.image_tokens
            elif isinstance(part, Special):
                ids.append(self.token_id(part))
            else:
                ids += self.tokenizer.encode(part, add_special_tokens=False).ids
        return ids

    def prompt(
        self, question: str, image: bool, system: str | None = None
    ) -> tuple[list[int], list[int]]:
        """(prefix ids, suffix ids) of a question in the chat format."""
        chat = CHAT_FORMATS[self.config.chat_format]
        prefix, suffix = chat(question, image, system, self.config.bos)
        return self.encode(prefix), self.encode(suffix)

    def whole_prompt(self, text: str, images: int, where: str = "prompt") -> list[int]:
        """Ids of a raw prompt in which names of special tokens are those tokens and ``<image>`` an
        image.

        Raises:
          ValueError: the prompt is empty, or has not as many ``<image>`` as ``images``.
        """
        parts = text.split(IMAGE_MARK) if images else [text]
        if len(parts) - 1 != images:
            raise ValueError(f"{where}: {len(parts) - 1} times {IMAGE_MARK}, but {images} images")
        ids = [] if self.config.bos is None else [self.token_id(self.config.bos)]
        self.tokenizer.encode_special_tokens = False
        try:
            for number, part in enumerate(parts):
                if number:
                    ids += [self.image_id] * self.config.image_tokens
                ids += self.tokenizer.encode(part, add_special_tokens=False).ids
        finally:
            self.tokenizer.encode_special_tokens = True
        if not ids:
            raise ValueError(f"{where}: is empty")
        return ids

    def answer(self, text: str, *, ended: bool = True) -> list[int]:
        """Ids of an answer as it follows a prompt, with the end token if ``ended``."""
        ids = self.encode([ANSWER_LEAD[self.config.chat_format] + text])
        return [*ids, self.eos_id] if ended else ids

    def until_end(self, ids: list[int]) -> list[int]:
        """Generated ids before the first end token, all of them where there is none."""
        return ids[: ids.index(self.eos_id)] if self.eos_id in ids else ids

    def decode(self, ids: list[int]) -> str:
        """Text of generated ids, special tokens left out, outer white space stripped."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True).strip()

    def image_slot(self, ids: list[int]) -> int:
        """Index of the first image token in a row, -1 where there is none."""
        return ids.index(self.image_id) if self.image_id in ids else -1

    def pixels(self, data: bytes, where: str = "image") -> np.ndarray:
        """u8[S, S, 3] of an encoded image."""
        return images.to_pixels(images.decode(data, where), self.config.image_size)

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
        except TypeError as error:
            raise ValueError(f"{folder / 'processor.json'}: {error}") from None
        return cls(config, read_tokenizer(folder / "tokenizer.json"))


def read_tokenizer(path: Path) -> Tokenizer:
    """A ``tokenizer.json``; FileNotFoundError or ValueError naming it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a tokenizer.json")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{path}: not a tokenizer.json ({error})") from None
