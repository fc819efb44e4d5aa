"""Users with the pictures of their history, how their preference changed, and their candidates."""

import math
from collections.abc import Sequence
from typing import TypeVar

from mllm.benchmarks.msr.report.layout import label
from mllm.benchmarks.msr.report.study import Record, Study, Subject
from mllm.benchmarks.msr.rows import Item
from mllm.reporting.pictures import thumbnail
from mllm.reporting.section import Answer, Card, Gallery, Paragraph, Sample, Section
from mllm.reporting.text import clean_text, slug

FIRST = 5  # a target counts as found among so many candidates
_SIDE = 64
_TITLE, _TEXT = 48, 400  # characters that are shown
_LIKELIEST = 8  # candidates that are shown besides the target
_CARDS = 2  # of each kind
_GOLDEN = 0.6180339887498949  # multiples of it are spread evenly over [0, 1)
_RULE = (
    "Of users with a warm and with a cold target: {} whom {} ranks the taken item among the first "
    "{}, and as many whom it does not, where there are any. Such users are sorted by id and taken "
    "at places that are spread evenly, so that the choice looks at nothing but the rank. Below a "
    "candidate stands its p(yes); gold is the item that the user took, and right is a method that "
    "ranks it among the first {}. {}"
)
_WITHOUT = "The data set is not on this machine, so items are shown without pictures and titles."
_T = TypeVar("_T")


def gallery_section(study: Study) -> Section | None:
    """Return the gallery; None where the recommender was not asked."""
    mine = study.recommender
    if mine is None or not mine.users:
        return None
    cards = tuple(_card(study, title, user) for title, user in picked(study))
    if not cards:
        return None
    note = _RULE.format(_CARDS, mine.label, FIRST, FIRST, "" if study.benchmark else _WITHOUT)
    blocks = (Paragraph(note.strip(), note=True), Gallery(cards))
    return Section("gallery", "Users, their preferences and their candidates", blocks, "Gallery")


def picked(study: Study) -> list[tuple[str, str]]:
    """Return (what a user stands for, id), for some users that the recommender ranks well and
    badly.
    """
    users = study.recommender.users
    ranks = {user: rank(rows) for user, rows in users.items()}
    found = []
    for target in ("warm", "cold"):
        for title, right in (("found", True), ("missed", False)):
            pool = [
                user
                for user, rows in users.items()
                if rows[0]["cold"] == target
                and ranks[user] is not None
                and (ranks[user] <= FIRST) == right
            ]
            words = f"{label('target', target).removesuffix('s')}, {title}"
            found += [(words, user) for user in _spread(pool, _CARDS)]
    return found


def _spread(pool: Sequence[_T], count: int) -> list[_T]:
    places = {int((at + 0.5) * _GOLDEN % 1 * len(pool)) for at in range(count)} if pool else set()
    return [pool[place] for place in sorted(places)]


def rank(rows: Sequence[Record]) -> float | None:
    """Return the place of the target among a user's candidates, the mean over orders of those with
    equal scores; None where a score is missing.

    Args:
      rows: the records of the user, the target first.
    """
    scores = [row["score"] for row in rows]
    if None in scores:
        return None
    above = sum(score > scores[0] for score in scores)
    return above + (1 + scores.count(scores[0])) / 2


def probability(score: float | None) -> str:
    """Return p(yes) as text, of log p(yes) - log p(no)."""
    return "no score" if score is None else f"{0.5 * (1 + math.tanh(score / 2)):.2f}"


def _card(study: Study, title: str, user: str) -> Card:
    rows = study.recommender.users[user]
    count = int(rows[0]["history"])
    samples = (_history(study, user, rows[0]), _candidates(study, user, rows))
    return Card(
        id=slug("card", user),
        title=f"User {clean_text(user, 40)}: {title.lower()}",
        subtitle=f"{count} items in the history",
        samples=tuple(one for one in samples if one is not None),
    )


def _history(study: Study, user: str, target: Record) -> Sample | None:
    """Return the history as pictures, and the preference after each block."""
    trace = target.get("trace") or []
    ids = [id for block in trace for id in block["items"]]
    if not ids and study.benchmark is not None:
        ids = list(_history_of(study, user))
    if not ids:
        return None
    answers, start = [], 1
    for block in trace:
        end = start + len(block["items"]) - 1
        span = f"item {start}" if end == start else f"items {start} to {end}"
        state = "cut" if block["cut"] else block["state"]
        answers.append(Answer(f"After {span}", clean_text(block["text"], _TEXT), state))
        start = end + 1
    items = [_item(study, id) for id in ids]
    pictures = _pictures(items)
    words = [_title(item, id) for item, id in zip(items, ids, strict=True)]
    shown = [f"{place}. {word}" for place, word in enumerate(words, 1)]
    return Sample(
        id=slug("history", user),
        title="What the user took, oldest first, and the preference after each block",
        question="" if pictures else "; ".join(shown),
        gold="",
        answers=tuple(answers),
        pictures=pictures,
        captions=tuple(shown) if pictures else (),
    )


def _candidates(study: Study, user: str, rows: Sequence[Record]) -> Sample:
    """Return the likeliest candidates and the target, and the rank that each method gives it."""
    ordered = sorted(rows, key=lambda row: (-(row["score"] or 0.0), row["item"]))
    shown = [
        (place, row)
        for place, row in enumerate(ordered, 1)
        if place <= _LIKELIEST or row["label"] == "1"
    ]
    items = [_item(study, row["item"]) for _, row in shown]
    pictures = _pictures(items)
    captions = [
        f"{place}. {_title(item, row['item'])}: {probability(row['score'])}"
        f"{' ✓' if row['label'] == '1' else ''}"
        for (place, row), item in zip(shown, items, strict=True)
    ]
    target = _item(study, rows[0]["item"])
    return Sample(
        id=slug("candidates", user),
        title=f"The likeliest of {len(rows)} candidates, and the one that the user took (✓)",
        question="" if pictures else "; ".join(captions),
        gold=_title(target, rows[0]["item"]),
        answers=tuple(_ranked(one, user) for one in study.models if user in one.users),
        pictures=pictures,
        captions=tuple(captions) if pictures else (),
        gold_picture=next(iter(_pictures([target])), ""),
    )


def _ranked(one: Subject, user: str) -> Answer:
    rows = one.users[user]
    found = rank(rows)
    if found is None:
        return Answer(one.label, "", "error")
    text = f"rank {found:g} of {len(rows)}, p(yes) {probability(rows[0]['score'])}"
    return Answer(one.label, text, right=found <= FIRST)


def _history_of(study: Study, user: str) -> Sequence[str]:
    split = study.recommender.run.manifest.get("protocol", {}).get("split", "test")
    users = study.benchmark.users(split)
    return next((one.history for one in users if one.id == user), ())


def _item(study: Study, id: str) -> Item | None:
    return None if study.benchmark is None else study.benchmark.item(id)


def _title(item: Item | None, id: str) -> str:
    return clean_text(item.title if item is not None and item.title else f"item {id}", _TITLE)


def _pictures(items: Sequence[Item | None]) -> tuple[str, ...]:
    """Return data URIs, none unless every item has a picture that can be read."""
    uris = [thumbnail(item.picture, _SIDE) if item and item.picture else None
            for item in items]  # fmt: skip
    return () if None in uris else tuple(uris)
