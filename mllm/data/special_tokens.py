"""The special tokens of a tokenizer, and the tokenizer that knows them by private names only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer

from mllm.data.blocks import MARK
from mllm.data.conversation import Media
from mllm.data.private import privately_named
from mllm.data.processor_config import ProcessorConfig


@dataclass(frozen=True)
class SpecialTokens:
    """A tokenizer and the names of its special tokens.

    Raises:
      ValueError: the tokenizer has none of a name.
    """

    config: ProcessorConfig
    tokenizer: Tokenizer

    def __post_init__(self):
        for token in self._named:
            self.token_id(token)
        config = self.config
        names = config.bos, config.eos, config.image, *self._audio_names
        needed = [self.token_id(name) for name in names if name]
        if config.codes is not None:
            needed.append(self.code_range[1] - 1)
        self._check_known(needed, "processor")

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
    def end_ids(self) -> tuple[int, ...]:
        """Ids of the tokens at which a reply ends, first that of ``eos``."""
        return tuple(dict.fromkeys(map(self.token_id, (self.config.eos, *self.config.ends))))

    @cached_property
    def barred_ids(self) -> tuple[int, ...]:
        """Ids of the tokens that no written reply holds, those of pictures among them."""
        barred = map(self.token_id, self.config.barred)
        if self.config.codes is None:
            return tuple(barred)
        marks = self.config.codes.begin, self.config.codes.end
        return tuple(dict.fromkeys([*barred, *map(self.token_id, marks), *range(*self.code_range)]))

    @cached_property
    def code_range(self) -> tuple[int, int]:
        """The id of the first code, and that after the last one.

        Raises:
          ValueError: the tokenizer does not have all codes one after the other.
        """
        names = self.config.codes.names
        first = self.token_id(names[0])
        for number, name in enumerate(names):
            if (found := self.token_id(name)) != first + number:
                raise ValueError(
                    f"tokenizer has code token {name!r} as id {found}, expected {first + number}: "
                    f"{number} after {names[0]!r}"
                )
        return first, first + len(names)

    @cached_property
    def pad_id(self) -> int:
        return self.token_id(self.config.pad)

    @cached_property
    def image_id(self) -> int | None:
        return None if self.config.image is None else self.token_id(self.config.image)

    @cached_property
    def audio_id(self) -> int | None:
        return None if self.config.audio is None else self.token_id(self.config.audio.token)

    @property
    def media_ids(self) -> dict[str, int]:
        """The id of the token that stands for a medium of each kind that is no text."""
        ids = {"image": self.image_id, "audio": self.audio_id}
        return {kind: index for kind, index in ids.items() if index is not None}

    @property
    def _named(self) -> list[str]:
        config = self.config
        names = config.bos, config.eos, config.pad, config.image, *config.ends, *config.barred
        every = *names, *self._audio_names, *self._code_names
        return [name for name in every if name is not None]

    @property
    def _audio_names(self) -> list[str | None]:
        audio = self.config.audio
        return [] if audio is None else [audio.token, audio.begin, audio.end]

    @property
    def _code_names(self) -> list[str]:
        codes = self.config.codes
        return [] if codes is None else [codes.begin, codes.end, *codes.names]

    @cached_property
    def _private(self) -> Tokenizer:
        return privately_named(self.tokenizer, self._named)

    @cached_property
    def private_names(self) -> list[str]:
        """Names of the tokens that nobody can type."""
        tokens = self._private.get_added_tokens_decoder().values()
        return [t.content.removeprefix(MARK) for t in tokens if t.content.startswith(MARK)]

    @cached_property
    def prepends(self) -> bool:
        """Whether the tokenizer itself puts a space before text that follows a special token."""
        return '"Prepend"' in json.dumps(json.loads(self.tokenizer.to_str())["normalizer"])

    def _check_known(self, ids: Sequence[int], where: str) -> None:
        """Raise ValueError if a token has no row in the model's embedding."""
        known = self.config.known_ids
        if known and (unknown := [i for i in ids if i >= known]):
            raise ValueError(
                f"{where}: needs the token {self.tokenizer.id_to_token(unknown[0])!r} of id "
                f"{unknown[0]}, but the model's embedding has {known} rows; do without it, or add "
                "rows with transformers' resize_token_embeddings"
            )

    def _check_kinds(self, media: Sequence[Media], where: str) -> None:
        """Raise ValueError if the model does not take media of some kind."""
        taken = [*self.media_ids, *([] if self.config.codes is None else ["codes"])]
        for medium in media:
            if medium.kind not in taken:
                known = " and ".join(["text", *taken])
                raise ValueError(
                    f"{where}: shows a medium of kind {medium.kind!r}, but the model takes {known} "
                    "only"
                )

    def until_end(self, ids: list[int]) -> list[int]:
        """Return generated ids before the first end token, all of them if there is none."""
        return _before(ids, self.end_ids)

    def until(self, ids: list[int], names: Sequence[str]) -> list[int]:
        """Return generated ids before the first special token of some names; other texts may stand
        among the names.
        """
        special = [name for name in names if name in self.private_names]
        return _before(ids, list(map(self.token_id, special)))

    def decode(self, ids: list[int]) -> str:
        """Return the text of generated ids, special tokens left out, outer white space stripped."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True).strip()


def _before(ids: list[int], stops: Sequence[int]) -> list[int]:
    return ids[: next((place for place, token in enumerate(ids) if token in stops), len(ids))]
