"""Why answers are wrong: one tag of fourteen for each wrong answer, by rules or by hand."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mllm.benchmarks.scale.item import Item
from mllm.benchmarks.scale.scorers import Scored
from mllm.evaluation.parsing import answer_state, normalise
from mllm.registry import lookup

FAILURES = {
    "F1": "perception miss",
    "F2": "counting",
    "F3": "localisation or spatial relation",
    "F4": "text or reading order",
    "F5": "spot the difference",
    "F6": "temporal order",
    "F7": "wrong picture of several",
    "F8": "object or text that is not there",
    "F9": "instruction or format",
    "F10": "reasoning or arithmetic",
    "F11": "domain knowledge",
    "F12": "wrong language",
    "F13": "refusal",
    "F14": "truncated, empty or repetitive",
}
FORMAT = "F9"  # the only tag that a right answer may carry
ALL = ""  # the method of an override that holds for every method
_FIELDS = {"item", "method", "tag", "note"}

Overrides = Mapping[tuple[str, str], str]  # (item id, method or ALL) -> tag


class Tagged(NamedTuple):
    """The tags of a run.

    Attributes:
      wrong: the tag of each wrong answer by item id.
      form: ids of right answers that say more than was asked (tag F9).
      unused: overrides of this method that met no wrong answer.
    """

    wrong: dict[str, str]
    form: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many wrong answers carry each tag; the counts sum to the wrong answers."""
        found = Counter(self.wrong.values())
        return {tag: found[tag] for tag in FAILURES if found[tag]}


def vocabulary(items: Iterable[Item]) -> frozenset[str]:
    """Return the names of all objects that the pictures of a split show, normalised."""
    return frozenset(normalise(name) for item in items for name in item.objects)


def failure_tag(
    item: Item,
    scored: Scored,
    reply: str,
    *,
    ended: bool = True,
    names: frozenset[str] = frozenset(),
) -> str | None:
    """Return the tag of an answer; None for a right and plain one, and for a failed call.

    The first rule that fits decides:

    - a right answer that is not plain: F9; no other tag is possible;
    - no text, a loop, or a reply cut off before its answer was complete: F14;
    - a refusal: F13;
    - no answer could be read: F9;
    - the answer names an object that the pictures do not show and the question does not mention:
      F8;
    - a wrong number where things are counted: F2;
    - else the tag of the item.

    Args:
      item: what was asked.
      scored: its score.
      reply: the text.
      ended: False where the reply was cut off at its limit.
      names: of all objects of the benchmark (``vocabulary``); items that list no objects know
        nothing of theirs and never get F8.
    """
    if scored.state == "error":
        return None
    if scored.right:
        return None if scored.plain else FORMAT
    unread = scored.parsed is None
    if scored.state == "refusal":
        return "F13"
    if scored.state == "invalid" and answer_state(reply, ended=ended) == "invalid":
        return "F14"
    if not ended and (unread or item.kind in ("text", "transcript")):
        return "F14"
    if unread:
        return FORMAT
    if item.kind in ("choice", "text") and _invented(item, scored.parsed, names):
        return "F8"
    if item.kind == "number" and (item.capability == "counting" or item.tag == "F1"):
        return "F2"  # F1 is what items carry that name no cause
    return item.tag


def _invented(item: Item, answer: str, names: frozenset[str]) -> bool:
    if not item.objects:
        return False
    said = normalise(answer)
    offered = [part for part in item.layout if isinstance(part, str)]
    known = normalise(" ".join([*item.objects, *item.questions, *item.options, *offered]))
    return any(_mentions(said, name) and not _mentions(known, name) for name in names)


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}(?:e?s)?\b", text) is not None


def tag_failures(
    items: Sequence[Item],
    scored: Sequence[Scored],
    replies: Sequence[str],
    *,
    ended: Sequence[bool] | None = None,
    names: frozenset[str] = frozenset(),
    method: str = ALL,
    overrides: Overrides | None = None,
) -> Tagged:
    """Tag the answers of a method; an override replaces the tag of a wrong answer.

    Args:
      items, scored, replies, ended: aligned; ``ended`` is all True by default.
      names: as for ``failure_tag``.
      method: whose answers these are.
      overrides: as ``read_overrides`` gives them; one for this method precedes one for all.
    """
    overrides = overrides or {}
    wrong, form, used = {}, [], set()
    ends = ended or [True] * len(items)
    for item, result, reply, end in zip(items, scored, replies, ends, strict=True):
        tag = failure_tag(item, result, reply, ended=end, names=names)
        if tag is None:
            continue
        if result.right:
            form.append(item.id)
            continue
        for key in ((item.id, method), (item.id, ALL)):
            if key in overrides:
                tag = overrides[key]
                used.add(key)
                break
        wrong[item.id] = tag
    unused = [key[0] for key in overrides if key[1] in (method, ALL) and key not in used]
    return Tagged(wrong, tuple(form), tuple(unused))


def read_overrides(path: Path, known: Iterable[str] | None = None) -> dict[tuple[str, str], str]:
    """Read tags set by hand: JSON lines of "item", "tag" and optionally "method" and "note".

    Args:
      path: the file.
      known: ids of the items there are; None does not check them.

    Raises:
      FileNotFoundError, ValueError: naming file and line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of overrides")
    items = None if known is None else {name: name for name in known}
    found: dict[tuple[str, str], str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{where}: not JSON ({error})") from None
        if not isinstance(row, dict) or not {"item", "tag"} <= set(row) <= _FIELDS:
            raise ValueError(
                f"{where}: {line.strip()[:80]!r}, expected an object with item and tag, "
                "and optionally method and note"
            )
        tag, key = row["tag"], (row["item"], row.get("method", ALL))
        lookup(FAILURES, tag, f"failure tag in {where}:")
        if items is not None:
            lookup(items, row["item"], f"item in {where}:")
        if key in found:
            raise ValueError(f"{where}: a second tag of {key[0]!r}; keep one of the two lines")
        found[key] = tag
    return found
