"""What turns conversations into ids, pictures and sounds, and ids back into text; stored with the
weights.

Text is encoded whole, never in parts: what a tokenizer of the SentencePiece kind makes of a word
depends on what stands before it. So that nothing a user types becomes a special token, chat formats
write special tokens under private names (``blocks.MARK``), and a second tokenizer, derived from
the first, knows them under these names only.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

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
from mllm.data.chat import CHAT_FORMATS, Pieces
from mllm.data.chat_template import dated
from mllm.data.codes import CODES, spelled
from mllm.data.conversation import (
    AUDIO_MARK,
    IMAGE_MARK,
    Media,
    Turn,
    assistant,
    codes,
    image,
    user,
)
from mllm.data.encoded import Encoded, check_order, expand, joined
from mllm.data.processor_config import TEMPLATE, ProcessorConfig
from mllm.data.sound_samples import SoundSamples
from mllm.data.template_format import TemplateFormat
from mllm.files import read_json, read_text, require_file, write_json

ANCHOR = "\ufdd1"  # a character that no token shares with another


@dataclass(frozen=True)
class Processor(SoundSamples):
    """A tokenizer, and what is shown to a model in which format."""

    def __post_init__(self):
        super().__post_init__()
        if self.config.chat_template is None:
            shown = [] if self.config.image is None else [image(b"")]
            self._pieces([user(*shown, "")], True, [(0, 0)] * len(shown), "processor")

    @cached_property
    def format(self) -> Callable[[Sequence[Turn], bool], Pieces]:
        """The chat format: turns, and whether an answer is to follow, to pieces of text."""
        template = self.config.chat_template
        if template is None:
            return CHAT_FORMATS[self.config.chat_format]
        names = dict.fromkeys(self.private_names)
        for name in self._code_names:  # no template writes them
            names.pop(name, None)
        audio = None if self.config.audio is None else self.config.audio.token
        return TemplateFormat(template, names, self.config.image, audio)

    def text(self, turns: Sequence[Turn], generate: bool = True) -> str:
        """Return a conversation as one text, special tokens by their names, as transformers'
        ``apply_chat_template`` does.
        """
        turns, drawn = self._with_codes(turns, "conversation")
        text = self.show_sounds("".join(piece for piece, _ in self.format(turns, generate)))
        return spelled(text.replace(IMAGE, self.config.image or ""), drawn).replace(MARK, "")

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
        text = self.show_sounds(text)
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
        turns, drawn = self._with_codes(turns, where)
        check_order(turns, generate, where)
        turns = list(map(self._under_instruction, turns))
        media = tuple(part for turn in turns for part in turn.media)
        self._check_kinds(media, where)
        layouts = [self.layout(medium, where) for medium in media]
        kinds = [medium.kind for medium in media]
        grids = [one.grid for one, kind in zip(layouts, kinds, strict=True) if kind == "image"]
        answer = None if generate or turns[-1].media else turns.pop().text
        begin = self._begin
        if turns and turns[0].role == "raw":
            text = spelled(self._raw_text(turns[0], grids, where), drawn).replace(MARK, "")
            answer = None if answer is None else spelled(answer, drawn)
            tokens, said = self.tokenizer.encode(text, add_special_tokens=False).ids, []
            answered = [] if answer is None else _following(self._encode_raw, text, answer)
        else:
            pieces = self._pieces(turns, generate or answer is not None, grids, where)
            pieces = [(spelled(text, drawn), by_assistant) for text, by_assistant in pieces]
            tokens, said = self._encode_pieces(pieces, cut=not generate and answer is None)
            answered = [] if answer is None else self._answer(answer, drawn)
            begin = [] if self._begins(pieces) else begin
        literal = turns and turns[0].literal and not media
        known, runs = {} if literal else self.media_ids, [layout.runs for layout in layouts]
        ids, spans, supervised = expand(begin, tokens, said, runs, kinds, known, where)
        if not generate:
            end = [self.eos_id] if ended else []
            supervised.append((len(ids), len(ids) + len(answered) + len(end)))
            ids += [*answered, *end]
        if not ids:
            raise ValueError(f"{where}: is empty")
        self._check_known(ids, where)
        return Encoded(tuple(ids), media, tuple(spans), joined(supervised))

    def _begins(self, pieces: Pieces) -> bool:
        """Return whether a chat template has itself written the token that begins a row."""
        template = self.config.chat_template
        bos = template.tokens.get("bos_token") if template is not None else None
        return bool(bos) and bool(pieces) and pieces[0][0].startswith(special(bos))

    def _with_codes(self, turns: Sequence[Turn], where: str) -> tuple[list[Turn], Iterator[str]]:
        """Return turns in which codes are text, ``CODES``, and how each of them is written.

        What people typed loses all marks.
        """
        written = []

        def part_of(part: str | Media) -> str | Media:
            if isinstance(part, str):
                return _typed(part)
            if part.kind != "codes" or self.config.codes is None:
                return part
            written.append(self.config.codes.written(part, where))
            return CODES

        turns = [replace(turn, parts=tuple(map(part_of, turn.parts))) for turn in turns]
        return turns, iter(written)

    def _under_instruction(self, turn: Turn) -> Turn:
        """Return a turn whose pictures are read under its text, if the model is instructed."""
        under = turn.text if self.config.instructed else ""
        if all(medium.instruction == under for medium in turn.media):
            return turn
        parts = (p if isinstance(p, str) else replace(p, instruction=under) for p in turn.parts)
        return replace(turn, parts=tuple(parts))

    def instruction_ids(self, media: Media) -> list[int]:
        """Return the ids of the instruction under which a medium is read; no special tokens."""
        ids = self._private.encode(media.instruction, add_special_tokens=False).ids
        self._check_known(ids, "instruction")
        return ids

    def _pieces(
        self, turns: Sequence[Turn], generate: bool, grids: Sequence[Grid], where: str
    ) -> Pieces:
        """Return the text of turns in pieces, with the blocks of its images."""
        waiting = iter(grids)
        pieces = self.format(turns, generate)
        return [
            (self._show(text, list(islice(waiting, text.count(IMAGE))), where), said)
            for text, said in pieces
        ]

    def _raw_text(self, turn: Turn, grids: Sequence[Grid], where: str) -> str:
        """Return the text of a raw turn, whose special tokens bear their own names.

        Raises:
          ValueError: the name of a token is written where a picture or a sound should stand.
        """
        names = {}
        if self.config.image is not None and (turn.media or not turn.literal):
            names |= dict.fromkeys((IMAGE_MARK, self.config.image), "picture")
        if self.config.audio is not None and (turn.media or not turn.literal):
            names |= dict.fromkeys((AUDIO_MARK, self.config.audio.token), "sound")
        for part in turn.parts:
            for name, kind in names.items():
                if isinstance(part, str) and name in part:
                    raise ValueError(
                        f"{where}: {name} is written in the text of a raw turn, but no {kind} "
                        f"stands there; put the {kind} between two texts of the turn"
                    )
        text = "".join(written(p) if isinstance(p, Media) else p for p in turn.parts)
        return self._show(self.mark_sounds(text), grids, where)

    def _encode_pieces(self, pieces: Pieces, cut: bool) -> tuple[list[int], list[tuple[int, int]]]:
        """Return (tokens, ranges of those that an assistant says); text is encoded whole.

        Args:
          cut: leave out what follows the last piece that an assistant says.
        """
        if cut:
            last = max((i for i, (_, said) in enumerate(pieces) if said), default=len(pieces) - 1)
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
        ids = self._answer(_typed(text), iter(()))
        return [*ids, self.eos_id] if ended else ids

    def _answer(self, text: str, drawn: Iterator[str]) -> list[int]:
        turns = [user(""), assistant(text)]
        pieces = self._pieces(turns, False, [], "answer")
        place = next((i for i, (_, said) in enumerate(pieces) if said), None)
        if place is None:  # a template need not say where white space stands
            pieces = [*self._pieces(turns[:1], True, [], "answer"), (text, True)]
            place = len(pieces) - 1
        context = "".join(before for before, _ in pieces[:place])
        ids = _following(self._encode, context, spelled(pieces[place][0], drawn))
        self._check_known(ids, f"answer {text!r}")
        return ids

    def drawing(
        self, turns: Sequence[Turn], words: str = "", where: str = "conversation"
    ) -> Encoded:
        """Return the conversation up to the place where an assistant's next picture begins: its
        codes follow.

        Args:
          words: what the assistant says before the picture.

        Raises:
          ValueError: as ``encode``; or the model writes no pictures.
        """
        if self.config.codes is None:
            raise ValueError(f"{where}: asks for a picture, but the model writes text only")
        picture = codes([0] * self.config.codes.length)
        said = assistant(words, picture) if words else assistant(picture)
        whole = self.encode([*turns, said], ended=False, where=where)
        begin = self.token_id(self.config.codes.begin)
        end = max(place for place, token in enumerate(whole.ids) if token == begin) + 1
        return replace(whole, ids=whole.ids[:end], supervised=())

    def continuation(self, text: str, more: str) -> list[int]:
        """Return the ids of ``more`` as it follows the raw prompt ``text``."""
        return _following(self._encode_raw, _typed(text), _typed(more))

    def with_chat_format(self, name: str) -> "Processor":
        """Return a processor that writes conversations in another format.

        Args:
          name: of ``CHAT_FORMATS``; the path of a Jinja template, which ends in ".jinja"; or
            "template", the chat template that the processor has.

        Raises:
          FileNotFoundError, ValueError: there is no such file or format, or the format needs a
            token that the tokenizer does not have.
        """
        config, template = self.config, None
        if is_template_file(name):
            roles = {"bos_token": config.bos, "eos_token": config.eos, "pad_token": config.pad}
            tokens = {role: token for role, token in roles.items() if token is not None}
            known = {} if config.chat_template is None else config.chat_template.tokens
            name, template = TEMPLATE, dated(read_text(Path(name)), tokens | known)
        elif name == TEMPLATE:
            template = config.chat_template
        config = replace(config, chat_format=name, chat_template=template)
        return Processor(config, self.tokenizer)

    def with_rows(self, rows: int) -> "Processor":
        """Return a processor that refuses texts with tokens beyond the rows of an embedding.

        Raises:
          ValueError: a token that every text needs is beyond them.
        """
        return Processor(replace(self.config, known_ids=rows), self.tokenizer)

    @cached_property
    def digest(self) -> str:
        """sha256 over all that changes what a model is shown."""
        content = json.dumps(self.config.described(), sort_keys=True) + self.tokenizer.to_str()
        return hashlib.sha256(content.encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write ``tokenizer.json`` and ``processor.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "tokenizer.json", json.loads(self.tokenizer.to_str()))
        write_json(folder / "processor.json", self.config.described())

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
    """Return what a person wrote without the marks of special tokens and codes."""
    return text.replace(MARK, "").replace(CODES, "")


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


def is_template_file(chat_format: str | None) -> bool:
    """Return whether a chat format is the path of a Jinja template."""
    return chat_format is not None and chat_format.endswith(".jinja")


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
