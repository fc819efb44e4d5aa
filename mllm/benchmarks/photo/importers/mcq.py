"""Questions with four options as files have them: letters or texts, lists or columns, escaped or
not.
"""

import difflib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.importers.rows import Place, Unusable
from mllm.benchmarks.photo.row import LETTERS
from mllm.benchmarks.photo.taxonomy import TOPICS

COLUMNS = {  # our names -> names that files have for it, the first of which is usual
    "question": ("question", "Question", "prompt"),
    "options": ("options", "Options", "choices"),
    "answer": ("answer", "Answer", "correct_answer", "label"),
    "topic": ("topic", "Topic"),
    "subtopic": ("subtopic", "sub_topic", "sub-topic", "Sub-topic", "Subtopic"),
    "image": ("image", "image_path", "image_id", "img", "filename"),
    "id": ("id", "question_id", "qid"),
    **{letter: (letter, letter.lower(), f"option_{letter.lower()}") for letter in "ABCDEFGH"},
}
_LETTERED = re.compile(r"^\s*(?:\(([A-H])\)|([A-H])\s*[.):])\s+(.*)$", re.DOTALL)
_ANSWER = re.compile(
    r"^\s*(?:the answer is|answer:?|option)?\s*\(?([A-Ha-h])\)?\s*[.):]?\s*$", re.I
)
_SPLIT = re.compile(r"(?:^|\s)(?=\(?[A-H][.):]\s)")


@dataclass(frozen=True)
class Asked:
    """A question of a row, its picture still a name."""

    id: str
    image: str
    topic: str
    subtopic: str
    question: str
    options: tuple[str, ...]
    key: int


class Reader:
    """Makes questions of rows, by the names that an import gives its columns and topics."""

    def __init__(
        self, options: Options, ledger: Ledger, columns: Mapping[str, tuple[str, ...]] | None = None
    ):
        """Read as options say.

        Args:
          columns: names of columns where they are not those of ``COLUMNS``.

        Raises:
          ValueError: the options name a column or a topic that is not ours.
        """
        self._columns = options.named({**COLUMNS, **(columns or {})})
        self._named = options.columns
        self._ledger = ledger
        self._topics = {
            name.casefold(): _split_topic(path) for name, path in options.topics.items()
        }

    def question(self, place: Place, row: Mapping[str, Any]) -> Asked | None:
        """Return the question of a row; None where the row is to be left out.

        Raises:
          ValueError: the row cannot be used, and that is an error; the message names file, line,
            key, what was found and what was expected.
        """
        try:
            return self._question(place, row)
        except Unusable as error:
            self._ledger.note("unusable_row", str(error))
            return None

    def _question(self, place: Place, row: Mapping[str, Any]) -> Asked | None:
        options = self._options(place, row)
        asked = {
            "id": self._text(place, row, "id", needed=False),
            "image": self._text(place, row, "image"),
            "question": self._text(place, row, "question"),
        }
        column, answer = self._value(place, row, "answer")
        if len(options) != len(LETTERS):
            case = place.says("options", len(options), f"{len(LETTERS)} options")
            self._ledger.note("other_number_of_options", case)
            return None
        if len({one.casefold() for one in options}) != len(options):
            place.fail("options", options, "four different texts")
        key = _key(place, column, answer, options)
        topic = self._topic(place, row)
        if topic is None:
            return None
        return Asked(**asked, topic=topic[0], subtopic=topic[1], options=tuple(options), key=key)

    def _value(
        self, place: Place, row: Mapping[str, Any], name: str, *, needed: bool = True
    ) -> tuple[str, Any]:
        """Return the column of a name and its value; ("", None) if there is none."""
        column = next((one for one in self._columns[name] if row.get(one) not in (None, "")), "")
        if not column and needed:
            wanted = " or ".join(map(repr, self._columns[name]))
            place.fail(self._columns[name][0], sorted(row), f"a value of column {wanted}")
        return column, row.get(column)

    def _text(self, place: Place, row: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
        column, value = self._value(place, row, name, needed=needed)
        if value is None:
            return ""
        if not isinstance(value, str | int) or value is True:
            place.fail(column, value, "a text")
        return clean(str(value))

    def _options(self, place: Place, row: Mapping[str, Any]) -> list[str]:
        if all(letter in row or letter in self._named for letter in ("A", "B")) or not any(
            name in row for name in self._columns["options"]
        ):
            given = [self._value(place, row, one, needed=one in "AB") for one in "ABCDEFGH"]
            found = [value for column, value in given if column]
        else:
            found = _listed(place, *self._value(place, row, "options"))
        for text in found:
            if not isinstance(text, str | int | float) or not str(text).strip():
                place.fail("options", text, "a text")
        return _without_letters([clean(str(text)) for text in found])

    def _topic(self, place: Place, row: Mapping[str, Any]) -> tuple[str, str] | None:
        topic = self._text(place, row, "topic")
        subtopic = self._text(place, row, "subtopic", needed=False)
        for name in (f"{topic}/{subtopic}", subtopic, topic):
            if found := self._topics.get(name.casefold()):
                return found
        known = _same(topic, TOPICS)
        if known is None:
            self._ledger.note("unknown_topic", f"{place}, 'topic': {_unknown(topic, TOPICS)}")
            return None
        below = _same(subtopic, TOPICS[known])
        if below is None:
            case = f"{place}, 'subtopic' of {known}: {_unknown(subtopic, TOPICS[known])}"
            self._ledger.note("unknown_topic", case)
            return None
        return known, below


def clean(text: str) -> str:
    """Return a text on one line, with HTML written out that was escaped, even twice."""
    return " ".join(html.unescape(html.unescape(text)).split())


def _listed(place: Place, column: str, value: Any) -> list[Any]:
    """Return options given as a list, by letter, or as one text."""
    if isinstance(value, Mapping):
        return [value[letter] for letter in sorted(value)]
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str):
        lines = [line for line in value.splitlines() if line.strip()]
        parts = lines if len(lines) > 1 else [one for one in _SPLIT.split(value) if one.strip()]
        if len(parts) > 1:
            return parts
    place.fail(column, value, "a list of options, or lines that begin with their letters")


def _without_letters(options: list[str]) -> list[str]:
    """Return options without the letters before them, if each has its own."""
    found = [_LETTERED.match(option) for option in options]
    letters = [one and (one[1] or one[2]) for one in found]
    if letters == list("ABCDEFGH"[: len(options)]):
        return [one[3].strip() for one in found]
    return options


def _key(place: Place, column: str, answer: Any, options: list[str]) -> int:
    """Return the number of the right option, which an answer names by letter or by text."""
    if isinstance(answer, str):
        text = clean(answer)
        same = [number for number, one in enumerate(options) if one.casefold() == text.casefold()]
        if len(same) == 1:
            return same[0]
        lettered = _LETTERED.match(text)
        letter = (lettered[1] or lettered[2]) if lettered else ""
        if lettered and lettered[3].strip().casefold() not in ("", options_at(options, letter)):
            place.fail(column, answer, f"the letter of the option that it names, of {options}")
        if short := _ANSWER.match(text):
            letter = short[1].upper()
        if letter and letter in LETTERS:
            return LETTERS.index(letter)
    place.fail(column, answer, f"a letter A to D, or one of {options}")


def options_at(options: list[str], letter: str) -> str | None:
    """Return the option of a letter in small letters; None where there is none."""
    place = "ABCDEFGH".index(letter)
    return options[place].casefold() if place < len(options) else None


def _same(name: str, known: Any) -> str | None:
    """Return the one of ours that a name is, whatever its case, spaces and signs between words."""
    wanted = _bare(name)
    return next((one for one in known if _bare(one) == wanted), None)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name.replace("&", " and ")).casefold().strip()


def _unknown(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"found {name!r}{hint} (known: {', '.join(known)})"


def _split_topic(path: str) -> tuple[str, str]:
    for topic, below in TOPICS.items():
        for one in below:
            if _bare(path) == _bare(f"{topic}/{one}"):
                return topic, one
    paths = [f"{topic}/{one}" for topic, below in TOPICS.items() for one in below]
    raise ValueError(f"topics: {_unknown(path, paths)}")
