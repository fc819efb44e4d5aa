"""The requests about one clip."""

from collections.abc import Iterator, Mapping
from typing import Any

from mllm.benchmarks.hear.entries import Entry
from mllm.benchmarks.hear.incontext import PLAIN
from mllm.benchmarks.hear.prompts import (
    CAPTION,
    CLASSIFY,
    HEARD,
    about_caption,
    about_sound,
    relation_turns,
)
from mllm.benchmarks.hear.relations import Probe
from mllm.data.conversation import Turn
from mllm.evaluation.request import Ask, Choices, Request, Text, content_key
from mllm.evaluation.yes_no import NO, YES

ODDS = Choices((*YES, *NO), ended=False)
SAID = Text(4)  # a reply that should be yes or no
RELATION_TASKS = {"relations": ODDS, "relations_generated": SAID}


def caption_requests(
    split: str, entry: Entry, sound: bytes, prefixes: Mapping[str, str], tokens: int
) -> Iterator[Request]:
    """Yield the request for a caption, in each variant of its prompt.

    Args:
      prefixes: the text before the question, by variant. tokens: the most of a caption.
    """
    for variant, prefix in prefixes.items():
        turns = about_sound(sound, f"{prefix} {CAPTION}".strip())
        yield _request(split, entry, "caption", variant, turns, Text(tokens))


def direct_requests(
    split: str, entry: Entry, sound: bytes, prefixes: Mapping[str, str], classes: tuple[str, ...]
) -> Iterator[Request]:
    """Yield the request for the log-probability of each class, in each variant of its prompt."""
    for variant, prefix in prefixes.items():
        turns = about_sound(sound, f"{prefix} {CLASSIFY}".strip())
        yield _request(split, entry, "direct", variant, turns, Choices(classes))


def two_step_request(split: str, entry: Entry, caption: str, classes: tuple[str, ...]) -> Request:
    """Return the request to classify a caption, without the sound."""
    turns = about_caption(caption, CLASSIFY)
    return _request(split, entry, "two_step", PLAIN, turns, Choices(classes), caption=caption)


def relation_requests(
    split: str, probe: Probe, condition: str, generated: bool, *, sound: bytes = b"", caption=""
) -> Iterator[Request]:
    """Yield a relation question under a condition: its log-odds, and a generated answer if wanted.

    Args:
      sound: of the clip, and in R that of ``probe.other``. caption: read in C.
    """
    label, played = probe.clip.label, probe.other if condition == "R" else probe.clip
    turns = relation_turns(condition, probe.term, sound=sound, label=label, caption=caption)
    tags = {
        "relation": probe.relation,
        "term": probe.term,
        "concept": probe.concept,
        "yes": probe.yes != (condition == "R"),
        "heard": played.id if condition in HEARD else None,
        "heard_tags": list(played.tags),
    }
    if condition == "C":
        tags["caption"] = caption
    for task, ask in RELATION_TASKS.items():
        if task == "relations" or generated:
            yield _request(split, probe.clip, task, condition, turns, ask, **tags)


def _request(
    split: str,
    entry: Entry,
    task: str,
    condition: str,
    turns: tuple[Turn, ...],
    ask: Ask,
    **further: Any,
) -> Request:
    tags = {
        "task": task,
        "condition": condition,
        "split": split,
        "clip": entry.id,
        "label": entry.label,
        "tags": list(entry.tags),
        **further,
    }
    named = [further[name] for name in ("relation", "term", "yes") if name in further]
    key = content_key(split, entry.id, task, condition, *named, turns=turns)
    return Request(key, entry.group, tags, turns, ask)
