"""The questions about a drawing or a description, and how answers to them are read.

A judge that is taught here is asked in a word for the detail and for the object. Any other
vision-language model is asked the published questions: it chooses the detail and the object among
ten numbered words each (CoBSAT's repository, evaluation_icl). CLIP is asked nothing: it compares
the picture with ten texts each.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mllm.benchmarks.cobsat.captions import mentioned, phrase, with_article
from mllm.benchmarks.cobsat.tasks import KINDS, WORDS, Pair, display
from mllm.data.conversation import Media, Turn, user
from mllm.registry import lookup

CUT = 2047  # characters of a question that the published scripts pass on
NUMBERS = tuple(str(number) for number in range(1, 11))
SIDES = ("detail", "object")
RULES = ("taught", "numbers", "published", "strict", "clip", "clip_words", "words")
# Forms of the three kinds of judges.
TAUGHT, PUBLISHED, CLIP = ("taught",), ("numbers", "reply"), ("clip", "clip_words")
FORMS = (*TAUGHT, *PUBLISHED, *CLIP)
PICTURES = (*TAUGHT, *CLIP)  # the forms that are about pictures alone
LIKELIEST = (*TAUGHT, "numbers", *CLIP)  # the forms that are read as the likeliest of ten

Judged = dict[str, str | None]


@dataclass(frozen=True)
class Judge:
    """How the judge is asked.

    Attributes:
      cut: whether a question ends after 2047 characters, as published ("paper"): a long description
        then leaves no room for the options; "whole" keeps them.
      forms: "taught" asks in a word for the log-probability of each word, about pictures alone. Of
        the published questions, "numbers" asks for the log-probability of each number, and "reply"
        for a reply. CLIP compares pictures alone with phrases such as "a red object" ("clip"), or
        with the bare words, as published ("clip_words").
      modes: of the outputs that it judges: "image", "text".
      tokens: the most of a reply.

    Raises:
      ValueError: an unknown form.
    """

    cut: str = "paper"
    forms: tuple[str, ...] = TAUGHT
    modes: tuple[str, ...] = ("image",)
    tokens: int = 4

    def __post_init__(self):
        for form in self.forms:
            lookup(dict.fromkeys(FORMS), form, "form (evaluation.judge.forms)")


def vocabulary(theme: str, side: str) -> str:
    """Return the key of ``WORDS`` that a side of a theme's pairs is taken from."""
    return theme if side == "detail" else KINDS[theme]


def options(theme: str, side: str) -> str:
    """Return the ten numbered words, as a question shows them."""
    words = WORDS[vocabulary(theme, side)]
    return "".join(f" ({number}){display(word)}" for number, word in enumerate(words, 1))


def question(theme: str, side: str, description: str | None = None, cut: str = "paper") -> str:
    """Return a question about the detail or the object of an output.

    Args:
      description: the output in text mode; None asks about a picture.
      cut: see ``Judge``.
    """
    asked = f"the {theme} (of the main object)" if side == "detail" else "the main object"
    if description is None:
        text = f"What is {asked} in this image?"
    else:
        place = "the image" if side == "detail" else "this image"
        text = f"Image caption: {description}. "
        text += f"What is {asked} in {place} based on the description?"
    text += f" Answer from the following options: {options(theme, side)}"
    text += ". Answer the number only and do not include any other texts (e.g., 1)."
    return text[:CUT] if cut == "paper" else text


def shown_words(theme: str, side: str) -> tuple[str, ...]:
    """Return the ten words of a side as they are shown."""
    return tuple(map(display, WORDS[vocabulary(theme, side)]))


def taught_turns(theme: str, side: str, picture: Media) -> tuple[Turn, ...]:
    """Return the conversation that asks a taught judge about a picture."""
    return (user(picture, f"{vocabulary(theme, side)}: "),)


def compared_texts(theme: str, side: str, form: str) -> tuple[str, ...]:
    """Return the ten texts that CLIP compares a picture with, in the order of the words.

    Args:
      form: "clip" takes the wording of captions with the other side left open, "clip_words" the
        words as they are shown.
    """
    if form == "clip_words":
        return shown_words(theme, side)
    if side == "object":
        return tuple(map(with_article, WORDS[KINDS[theme]]))
    return tuple(phrase(Pair(theme, word, KINDS[theme])) for word in WORDS[theme])


def judge_turns(theme: str, side: str, output: Media | str, cut: str = "paper") -> tuple[Turn, ...]:
    """Return the conversation that asks the judge about a picture or a description."""
    if isinstance(output, Media):
        return (user(output, question(theme, side, None, cut)),)
    return (user(question(theme, side, output, cut)),)


def number_of(theme: str, side: str, word: str) -> str:
    """Return the number of a word among the options."""
    return str(1 + WORDS[vocabulary(theme, side)].index(word))


def read_published(reply: str) -> int | None:
    """Return the number of a reply by the published rule: all its digits, joined.

    "1 or 2" is 12, and so no number of an option.
    """
    digits = "".join(character for character in reply if character in "0123456789")
    return _in_range(digits)


def read_strict(reply: str) -> int | None:
    """Return the number of a reply that is one number, perhaps in brackets or with a full stop."""
    found = re.fullmatch(r"\((\d{1,2})\)\.?|(\d{1,2})\)?\.?", reply.strip(), re.ASCII)
    return None if found is None else _in_range(found[1] or found[2])


def read_numbers(logprobs: Sequence[float]) -> int:
    """Return the number of the likeliest option, the first of equal ones."""
    return 1 + max(range(len(logprobs)), key=lambda place: logprobs[place])


def word_of(theme: str, side: str, number: int | None) -> str | None:
    """Return the word that a number stands for."""
    return None if number is None else WORDS[vocabulary(theme, side)][number - 1]


def exact_words(theme: str, description: str) -> Judged:
    """Return what a description names: a side is its word if it names no other one of the
    vocabulary.
    """
    named = {side: mentioned(description, vocabulary(theme, side)) for side in SIDES}
    return {side: words[0] if len(words) == 1 else None for side, words in named.items()}


READERS: Mapping[str, Callable[[str], int | None]] = {
    "published": read_published,
    "strict": read_strict,
}


def _in_range(digits: str) -> int | None:
    number = int(digits) if digits and len(digits) < 4 else 0
    return number if 1 <= number <= len(NUMBERS) else None
