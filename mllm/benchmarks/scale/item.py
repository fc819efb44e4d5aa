"""What an item of the benchmark is, and its form on disk.

An item is one question about one or more pictures. Two rules hold for every item:

* The picture decides. For a fixed text (layout, question, options) the gold answer is uniform over
  `candidates`, so that a model that sees no picture is right at chance.
* The twin has the same text and other pictures, and another answer.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mllm.benchmarks.scale.taxonomy import FORMATS

KINDS = ("choice", "yes_no", "text", "number", "box", "order", "transcript", "format")
TAGS = tuple(f"F{number}" for number in range(1, 15))
LETTERS = "ABCDEFGH"
PARAPHRASES = 3  # the fewest wordings of a generated question


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What a generator makes: an item without its place in the benchmark.

    Attributes:
      pictures: PNG files (imported items keep the file that they have, for example JPEG).
      layout: the context in reading order: a text, or the number of a picture; without the
        question, and without labels such as "Image 1:", which the protocol adds.
      questions: wordings of the question; [0] is the default. All have the same answer.
      kind: one of `KINDS`; it names the scorer.
      options: texts of the options in the order drawn, for kind "choice"; else ().
      answers: accepted answers; [0] is canonical. For kind "choice" the text of the option.
        number: "7"; yes_no: "yes" or "no"; box: "[x0, y0, x1, y1]" in whole percent of the side;
        order: "2, 4, 1, 3"; transcript: the text; format: a text that the rule of the scene fits.
      candidates: the answers that a random baseline draws from, uniformly. The gold answer is
        uniform over them given the text.
      tag: the failure tag (F1 to F14) of a wrong answer that no other rule explains.
      objects: names of what the pictures show.
      times: seconds of the frames, else ().
      twin_pictures: pictures that change the answer, as many as `pictures`.
      twin_answers: accepted answers with `twin_pictures`.
      scene: JSON values from which the answers follow: "ask" holds what the question asks for,
        "pictures" the truth of the pictures and "twin" that of the twin pictures, in the same
        form.
    """

    pictures: tuple[bytes, ...]
    layout: tuple[str | int, ...]
    questions: tuple[str, ...]
    kind: str
    answers: tuple[str, ...]
    candidates: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    tag: str = "F1"
    objects: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    twin_pictures: tuple[bytes, ...] = ()
    twin_answers: tuple[str, ...] = ()
    scene: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Item(Draft):
    """A draft in its place: `id` is "split/suite/format/capability/number"."""

    id: str
    suite: str
    format: str
    capability: str


_FIELDS = tuple(f.name for f in dataclasses.fields(Item))
_PICTURES = ("pictures", "twin_pictures")
_TEXTS = ("id", "suite", "format", "capability", "kind", "tag")
_JSON = tuple(name for name in _FIELDS if name not in _PICTURES + _TEXTS)


def place(draft: Draft, *, id: str, suite: str, format: str, capability: str) -> Item:
    """Return a draft as the item of this place, its scene as JSON keeps it (without tuples)."""
    values = {f.name: getattr(draft, f.name) for f in dataclasses.fields(Draft)}
    values["scene"] = json.loads(_dump(draft.scene))
    return Item(**values, id=id, suite=suite, format=format, capability=capability)


def validate(item: Item, *, generated: bool = True) -> None:
    """Raise ValueError, naming item and field, where an item breaks the schema.

    Args:
      item: the item.
      generated: also demand what only generated items have: paraphrases, candidates and a twin.
    """

    def require(condition: bool, where: str, found: Any, expected: str) -> None:
        if not condition:
            raise ValueError(f"item {item.id!r}: {where} is {found!r}, expected {expected}")

    require(bool(item.id), "id", item.id, "a text that is not empty")
    require(item.format in FORMATS, "format", item.format, f"one of {FORMATS}")
    require(item.kind in KINDS, "kind", item.kind, f"one of {KINDS}")
    require(item.tag in TAGS, "tag", item.tag, "F1 to F14")
    require(bool(item.pictures), "pictures", item.pictures, "at least one picture")
    shown = [part for part in item.layout if isinstance(part, int)]
    numbers = list(range(len(item.pictures)))
    require(sorted(shown) == numbers, "layout", item.layout, f"each picture of {numbers} once")
    require(bool(item.answers) and all(item.answers), "answers", item.answers, "texts")
    fewest = PARAPHRASES if generated else 1
    require(
        len(set(item.questions)) >= fewest and all(item.questions),
        "questions",
        item.questions,
        f"at least {fewest} different texts",
    )
    times = len(item.times)
    require(times in (0, len(item.pictures)), "times", item.times, "none, or one per picture")
    if item.kind == "choice":
        options = item.options
        require(2 <= len(set(options)) == len(options), "options", options, "different texts")
        require(item.answers[0] in options, "answers", item.answers, f"one of {options}")
    else:
        require(not item.options, "options", item.options, "none")
    if not generated:
        return
    choices = item.candidates
    require(2 <= len(set(choices)) == len(choices), "candidates", choices, "different texts")
    for name in ("answers", "twin_answers"):
        gold = getattr(item, name)
        require(bool(gold) and gold[0] in choices, name, gold, f"one of {choices}")
    twin = item.twin_pictures
    require(len(twin) == len(item.pictures), "twin_pictures", len(twin), str(len(item.pictures)))
    for name in ("ask", "pictures", "twin"):
        require(name in item.scene, "scene", sorted(item.scene), f"a key {name!r}")


def to_row(item: Item) -> dict[str, Any]:
    """Return the TFDS row of an item: pictures as bytes, nested parts as JSON text."""
    row: dict[str, Any] = {name: getattr(item, name) for name in _TEXTS}
    row |= {name: list(getattr(item, name)) for name in _PICTURES}
    return row | {name: _dump(getattr(item, name)) for name in _JSON}


def from_row(row: Mapping[str, Any]) -> Item:
    """Return the item of a TFDS row whose pictures were read without decoding."""

    def text(name: str) -> str:
        value = row[name]
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)

    values: dict[str, Any] = {name: text(name) for name in _TEXTS}
    values |= {name: tuple(bytes(picture) for picture in row[name]) for name in _PICTURES}
    for name in _JSON:
        value = json.loads(text(name))
        values[name] = tuple(value) if isinstance(value, list) else value
    return Item(**values)


def content_digest(item: Draft) -> str:
    """Return sha256 (hex) of what a model is shown and what is right, wherever the item stands.

    Two items with the same digest are the same question about the same pictures, whatever the
    order of the options. Pictures count by their files: equal drawings have equal files as long as
    one version of Pillow makes both.
    """
    said = [item.layout, item.questions, item.kind, sorted(item.options), item.answers]
    total = hashlib.sha256(_dump(said).encode("utf-8"))
    for picture in item.pictures:
        total.update(hashlib.sha256(picture).digest())
    return total.hexdigest()


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
