"""Pictures as tokens: the codes of a picture, each a token of its own, between two marks.

Users and assistants show codes alike. In the text of a conversation ``CODES`` stands for those of
one picture until the text is encoded; then private names take its place (``blocks.special``), which
nobody can type.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer

from mllm.data.blocks import special
from mllm.data.conversation import Media, code_ids

CODES = "\ufdd5"  # a Unicode noncharacter, which is removed from what people write


@dataclass(frozen=True)
class CodesConfig:
    """How the codes of a picture are written as tokens.

    The names and numbers by default are those of SEED-LLaMA (Ge et al. 2023, arXiv:2310.01218).

    Attributes:
      size: codes of the codebook.
      length: codes of a picture.
      name: pattern of the name of a code's token, given its number.
      begin, end: tokens before and after the codes of a picture.

    Raises:
      ValueError: a number is below 1, or the pattern does not tell codes apart.
    """

    size: int = 8192
    length: int = 32
    name: str = "<img_{:05d}>"
    begin: str = "<img>"
    end: str = "</img>"

    def __post_init__(self):
        for key in ("size", "length"):
            if (found := getattr(self, key)) < 1:
                raise ValueError(f"codes.{key}: expected 1 or more, found {found}")
        if len({self.name.format(number) for number in (0, 1, self.size)}) < min(self.size + 1, 3):
            raise ValueError(
                f"codes.name: expected a pattern such as '<img_{{:05d}}>', found {self.name!r}"
            )

    @property
    def names(self) -> list[str]:
        """Names of the tokens of all codes, in order."""
        return [self.name.format(number) for number in range(self.size)]

    def written(self, media: Media, where: str) -> str:
        """Return a picture's codes as the text of a conversation.

        Raises:
          ValueError: they are not as many as a picture has, or not of the codebook.
        """
        found = code_ids(media)
        if len(found) != self.length:
            raise ValueError(
                f"{where}: shows {len(found)} codes, but a picture has {self.length} of them"
            )
        if max(found) >= self.size:
            raise ValueError(
                f"{where}: shows code {max(found)}, but the codebook ends at {self.size - 1}"
            )
        names = self.begin, *map(self.name.format, found), self.end
        return "".join(map(special, names))


def spelled(text: str, pictures: Iterator[str]) -> str:
    """Replace each ``CODES`` of a text by the next of the pictures, as ``CodesConfig.written``."""
    return re.sub(CODES, lambda _: next(pictures), text)


def with_code_tokens(tokenizer: Tokenizer, config: CodesConfig) -> Tokenizer:
    """Return a tokenizer that also has the tokens of codes, as its last ones.

    The codes come first, so that a code's id is its number and that of the first code; then the
    marks around them. Tokens that are there already keep their ids.
    """
    grown = Tokenizer.from_str(tokenizer.to_str())
    names = [*config.names, config.begin, config.end]
    grown.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    return grown
