"""Reading replies: what a reply answers to a question of each kind. Nothing is ever guessed.

A reader returns the answer in one spelling, or None where the reply states none, and whether the
reply is plain: the answer and nothing else.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mllm.benchmarks.scale.item import LETTERS, Item
from mllm.evaluation.parsing import json_object, normalise, parse_choice
from mllm.evaluation.text_metrics import NUMBER_WORDS
from mllm.evaluation.yes_no import ANNOUNCEMENT, says_yes

_NUMBER = r"-?\d+(?:\.\d+)?"
_FREE_NUMBER = re.compile(rf"(?<![\w.]){_NUMBER}")
_BOX = re.compile(rf"\s*\[?\s*{_NUMBER}(?:\s*,\s*{_NUMBER}){{3}}\s*\]?\s*")
_ORDER = re.compile(r"\s*\[?\s*\d+(?:[\s,]+\d+)*\s*\]?\s*\.?\s*")
_QUOTES = "\"'`\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"


class Reading(NamedTuple):
    """An answer as it was read, None where there is none, and whether the reply is only that."""

    answer: str | None
    plain: bool


Reader = Callable[[Item, str, Sequence[str]], Reading]


def read_choice(item: Item, reply: str, options: Sequence[str]) -> Reading:
    """Read the text of the chosen option, by its letter or its text (``parsing.parse_choice``)."""
    letters = dict(zip(LETTERS, options, strict=False))
    if reply.strip() in options and reply.strip() not in letters:  # "<br>" too, which is markup
        return Reading(reply.strip(), True)
    letter = parse_choice(reply, letters)
    if letter is None:
        return Reading(None, False)
    text = normalise(letters[letter])
    said, lower = normalise(reply), letter.lower()
    return Reading(letters[letter], said in (lower, text, f"{lower} {text}"))


def read_yes_no(item: Item, reply: str, options: Sequence[str] = ()) -> Reading:
    """Read "yes" or "no", as ``yes_no.says_yes`` does."""
    said = says_yes(reply)
    if said is None:
        return Reading(None, False)
    answer = "yes" if said else "no"
    return Reading(answer, normalise(reply) == answer)


def read_number(item: Item, reply: str, options: Sequence[str] = ()) -> Reading:
    """Read the number of the first line; two different ones are no answer.

    Words up to twenty are numbers where the line has no digits.
    """
    lines = _lines(reply)
    words = normalise(lines[0]) if lines else ""
    found = _FREE_NUMBER.findall(words)
    found = found or [NUMBER_WORDS[word] for word in words.split() if word in NUMBER_WORDS]
    if len({float(number) for number in found}) != 1:
        return Reading(None, False)
    plain = len(lines) == 1 and len(words.split()) == 1
    return Reading(found[0], plain)


def read_text(item: Item, reply: str, options: Sequence[str] = ()) -> Reading:
    """Read the first line, without "the answer is"."""
    lines = _lines(reply)
    if not lines:
        return Reading(None, False)
    answer = ANNOUNCEMENT.sub("", lines[0], count=1).strip()
    return Reading(answer or None, len(lines) == 1 and answer == lines[0].strip())


def read_transcript(item: Item, reply: str, options: Sequence[str] = ()) -> Reading:
    """Read the whole reply, without quotation marks around it."""
    whole = " ".join(reply.split())
    answer = whole.strip(_QUOTES).strip()
    return Reading(answer or None, answer == whole)


def read_box(item: Item, reply: str, options: Sequence[str] = ()) -> Reading:
    """Read the four numbers of a box that does not end before it begins."""
    numbers = re.findall(_NUMBER, unicodedata.normalize("NFKC", reply))
    if len(numbers) != 4:
        return Reading(None, False)
    x0, y0, x1, y1 = map(float, numbers)
    if x1 < x0 or y1 < y0:
        return Reading(None, False)
    return Reading(f"[{', '.join(numbers)}]", _BOX.fullmatch(reply) is not None)


def read_order(item: Item, reply: str, options: Sequence[str] = ()) -> Reading:
    """Read an order of the numbers that the answer orders, each once."""
    numbers = re.findall(r"\d+", unicodedata.normalize("NFKC", reply))
    if sorted(map(int, numbers)) != sorted(map(int, re.findall(r"\d+", item.answers[0]))):
        return Reading(None, False)
    answer = ", ".join(str(int(number)) for number in numbers)
    return Reading(answer, _ORDER.fullmatch(reply) is not None)


def read_format(item: Item, reply: str, options: Sequence[str] = ()) -> Reading:
    """Read a reply that fits the rule of the scene as a whole; one that does not is no answer.

    {"type": "json", "keys": […]} asks for a JSON object with exactly these keys, bare;
    {"type": "pattern", "pattern": "…"} for a text that the regular expression matches.

    Raises:
      ValueError: the item has no such rule.
    """
    rule, answer = item.scene.get("rule") or {}, reply.strip()
    if rule.get("type") == "json":
        value = json_object(answer)
        fits = value is not None and sorted(value) == sorted(rule["keys"])
    elif rule.get("type") == "pattern":
        fits = re.fullmatch(rule["pattern"], answer) is not None
    else:
        raise ValueError(
            f"item {item.id!r}: scene['rule'] is {rule}, expected type 'json' or 'pattern'"
        )
    return Reading(answer, True) if fits else Reading(None, False)


def _lines(reply: str) -> list[str]:
    return [line for line in reply.splitlines() if line.strip()]


READERS: dict[str, Reader] = {
    "choice": read_choice,
    "yes_no": read_yes_no,
    "text": read_text,
    "number": read_number,
    "box": read_box,
    "order": read_order,
    "transcript": read_transcript,
    "format": read_format,
}
