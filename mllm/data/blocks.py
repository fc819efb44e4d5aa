"""How media are written in the text of a conversation.

A special token is written with ``MARK`` in front of its name. Nobody can type the mark, so the
text ``<image>`` in a question stays text.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from mllm.data.conversation import Media

MARK = "\ufdd0"  # a Unicode noncharacter, which is removed from what people write


def special(name: str) -> str:
    """Return a special token as it is written in the text of a conversation."""
    return MARK + name


def written(media: Media) -> str:
    """Return the mark of one medium, whatever the tokenizer calls its token."""
    return special(f"<{media.kind}>")


IMAGE = special("<image>")
AUDIO = special("<audio>")
FAKE = special("<fake_token_around_image>")
WHOLE = special("<global-img>")

Grid = tuple[int, int]


def plain_block(grids: Sequence[Grid]) -> str:
    """Return the block of LLaVA: image tokens alone."""
    return IMAGE * len(grids)


def idefics2_block(grids: Sequence[Grid]) -> str:
    """Return the block of Idefics2: fake tokens around each image, one between two images."""
    views = sum(rows * columns + 1 for rows, columns in grids)
    return FAKE + (IMAGE + FAKE) * views


def idefics3_block(grids: Sequence[Grid]) -> str:
    """Return the block of Idefics3 and SmolVLM: the named crops row by row, then the whole view."""
    text = ""
    for rows, columns in grids:
        for row in range(1, rows + 1):
            for column in range(1, columns + 1):
                text += FAKE + special(f"<row_{row}_col_{column}>") + IMAGE
            text += "\n"
        text += ("\n" if rows else "") + FAKE + WHOLE + IMAGE + FAKE
    return text


IMAGE_BLOCKS: dict[str, Callable[[Sequence[Grid]], str]] = {
    "plain": plain_block,
    "idefics2": idefics2_block,
    "idefics3": idefics3_block,
}


def show_images(text: str, grids: Iterable[Grid], block: Callable[[Sequence[Grid]], str]) -> str:
    """Replace each run of ``IMAGE`` by the block of its images.

    Args:
      grids: (rows, columns) of each image, in order; an iterator is advanced by the images of the
        text.
    """
    waiting = iter(grids)

    def shown(run: re.Match) -> str:
        return block([next(waiting) for _ in range(run.group().count(IMAGE))])

    return re.sub(f"(?:{IMAGE})+", shown, text)


def space_words(text: str) -> str:
    """Put a space between a fake token and a word that follows it directly, as transformers'
    Idefics2Processor does from version 5.0 on.
    """
    return re.sub(rf"{FAKE}(?=[^\s<{MARK}])", f"{FAKE} ", text)


def show_sounds(text: str, token: str, begin: str, end: str) -> str:
    """Replace each ``AUDIO`` by the token of a sound, between marks of its beginning and end unless
    these stand around it already, as in transformers' Qwen2AudioProcessor.
    """

    def shown(found: re.Match) -> str:
        bare = not (text[: found.start()].endswith(begin) and text[found.end() :].startswith(end))
        return f"{begin}{token}{end}" if bare else token

    return re.sub(AUDIO, shown, text)
