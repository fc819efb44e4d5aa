"""Asks a model what the published script of MLLMU-Bench asks it, with the same shots and pictures.

``paper_items`` makes all draws, in the script's order and from one stream;
``collect_paper_replies`` asks in batches and writes each reply at once. Scoring is another step
(``mllm.evaluation.scores`` with protocol "paper").
"""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from mllm.checkpoints.folder import Loaded
from mllm.data.packing import round_up
from mllm.decoding.prefix import Prefix
from mllm.evaluation.branching import alike, read_level, reply, spread
from mllm.evaluation.groups import group_size, in_groups
from mllm.evaluation.paper_prompts import PaperProtocol, make_query, make_shot
from mllm.evaluation.replies import record_replies
from mllm.parallel.place import fetch

# The order in which the script evaluates, and therefore draws.
ORDER = {
    "forget": ("cloze", "classification", "generation"),
    "test": ("classification", "cloze", "generation"),
    "retain": ("cloze", "classification", "generation"),
    "celebrity": ("cloze", "classification", "generation"),
}
PICTURES = 32  # decoded pictures kept at hand; a split one may take megabytes


@dataclass(frozen=True)
class PaperItem:
    """One question of one set as it is asked.

    Attributes:
      prompt: the raw text, shots included.
      pictures: what its ``<image>``s show, in their order, the question's own at the end.
      shots: IDs of the profiles whose questions stand in front.
      image: which of its profile's pictures is shown, None for text alone.
    """

    set: str
    question: object  # a Question of the benchmark's schema
    prompt: str
    pictures: tuple[bytes, ...]
    shots: tuple[str, ...]
    image: int | None
    max_new_tokens: int

    @cached_property
    def key(self) -> str:
        """Content hash: set, question, prompt and pictures."""
        shown = [_digest(picture) for picture in self.pictures]
        content = json.dumps([self.set, asdict(self.question), self.prompt, shown], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:24]


@lru_cache(maxsize=4096)  # a shot's picture is shown in front of every question of a set
def _digest(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()


def paper_items(
    sets: Mapping[str, Sequence], pool: Sequence, protocol: PaperProtocol
) -> list[PaperItem]:
    """Every question that is asked, in the order of the script.

    One ``random.Random(seed)`` makes all draws: for each task but generation the IDs of its shots,
    then for each profile of the test set its picture. Shots are told in the order of the pool.

    Args:
      sets: profiles of "forget", "test", "retain" and "celebrity", in the order of their source;
        a set may be missing.
      pool: the profiles in which drawn IDs are looked up (Full_Set). One that is not there, as
        every celebrity, gives no shots.
      protocol: of a family (``PaperProtocol.for_family``).

    Raises:
      ValueError: more shots are asked for than there are profiles to draw from.
    """
    rng = random.Random(protocol.seed)
    items = []
    for name in ORDER:
        for task in ORDER[name] if name in sets else ():
            items += _items_of_task(sets, name, task, pool, protocol, rng)
    return items


def _items_of_task(sets, name, task, pool, protocol, rng) -> list[PaperItem]:
    chosen = _draw_shots(sets, name, task, pool, protocol, rng)
    asked = {(shot.id, place) for shot in chosen for place, _ in _places(shot, task)}
    skipped = asked if protocol.skip_shots else set()
    # Multiple choice about celebrities draws, and shows nothing.
    told = [] if (name, task) == ("celebrity", "classification") else chosen
    shots = {shown: _tell(told, task, shown) for shown in (True, False)}
    items = []
    for profile in sets[name]:
        image = 0
        if name == "test" and protocol.test_image == "random":
            image = rng.choice(range(len(profile.images)))
        for place, question in _places(profile, task):
            if (profile.id, place) in skipped:
                continue
            shown = question.modality == "image_text"
            told_text, told_pictures = shots[shown]
            space = protocol.generation_trailing_space
            items.append(
                PaperItem(
                    name,
                    question,
                    told_text + make_query(question, shown, trailing_space=space),
                    (*told_pictures, profile.images[image]) if shown else (),
                    tuple(shot.id for shot in told),
                    image if shown else None,
                    protocol.new_tokens(task, shown),
                )
            )
    return items


def _draw_shots(sets, name, task, pool, protocol, rng) -> list:
    """The profiles that are drawn for a task of a set, in the order of the pool."""
    count = protocol.shots(task)
    if not count:
        return []
    source = "retain" if protocol.shots_from == "retain" else name
    # The test set is made of the people to forget, and drawn from in the order of that set.
    ids = [profile.id for profile in sets["forget" if source == "test" else source]]
    if count > len(ids):
        raise ValueError(
            f"{name}/{task}: {count} profiles are to be shown as shots, but the set to draw from "
            f"has {len(ids)}: set evaluation.paper.{task}_shots=1, or shots_from=none"
        )
    drawn = set(rng.sample(ids, count))
    return [profile for profile in pool if profile.id in drawn]


def _places(profile, task: str) -> list[tuple[tuple, object]]:
    """(place, question) of a profile's questions of a task. The script counts multiple choice by
    modality and clozes through both; a shot is the question at the same place.
    """
    questions = [question for question in profile.questions if question.task == task]
    if task == "classification":
        return [((question.modality, question.index), question) for question in questions]
    return [((question.modality, at), question) for at, question in enumerate(questions)]


def _tell(profiles, task: str, shown: bool) -> tuple[str, tuple[bytes, ...]]:
    """Text and pictures of all questions of the profiles that have, or have not, a picture."""
    modality = "image_text" if shown else "text"
    told = [
        (make_shot(question, shown), profile.images[0])
        for profile in profiles
        for question in profile.questions
        if question.task == task and question.modality == modality
    ]
    text = "".join(shot for shot, _ in told)
    return text, tuple(picture for _, picture in told) if shown else ()


def collect_paper_replies(
    loaded: Loaded,
    items: Sequence[PaperItem],
    protocol: PaperProtocol,
    folder: Path,
    manifest: dict,
    progress=None,
) -> list[dict]:
    """Ask what is not answered yet and return all records, in the order of ``items``.

    Args:
      folder, manifest: see ``replies.record_replies``; the shots of each set and task are added.

    Raises:
      ValueError: a prompt with its reply exceeds the model's positions and ``protocol.overflow`` is
        "refuse"; nothing was asked then.
    """
    shots: dict[str, dict] = {}
    for item in items:
        shots.setdefault(item.set, {})[item.question.task] = list(item.shots)
    manifest = {
        **manifest,
        "protocol": protocol.digest_fields(),
        "processor": loaded.processor.digest,
        "shots": shots,
    }
    return record_replies(
        lambda done: _Asker(loaded, protocol).ask(items, done),
        [item.key for item in items],
        folder,
        manifest,
        read=protocol.read,
        progress=progress,
    )


@dataclass(frozen=True)
class Asked:
    """An item as the model reads it.

    Attributes:
      ids: of the whole prompt.
      named: the same, each image token under the (negative) number of its picture: what two prompts
        have in common here, they say and show alike.
      taken: image tokens before each picture, and in all.
    """

    item: PaperItem
    ids: tuple[int, ...]
    named: tuple[int, ...]
    taken: tuple[int, ...]

    def pictures(self, start: int, end: int) -> list[bytes]:
        """The pictures whose tokens stand from ``start`` to ``end``."""
        before, until = (sum(i < 0 for i in self.named[:place]) for place in (start, end))
        return [
            data
            for data, first in zip(self.item.pictures, self.taken[:-1], strict=True)
            if before <= first < until
        ]


class _Asker:
    """Runs prompts as a tree: the shots of a task, then a profile's picture, then its questions."""

    def __init__(self, loaded: Loaded, protocol: PaperProtocol):
        self.loaded, self.protocol = loaded, protocol
        self.picture = lru_cache(PICTURES)(loaded.processor.picture)
        self._grids: dict[bytes, tuple[int, int]] = {}
        self._numbers: dict[bytes, int] = {}

    def ask(self, items: Sequence[PaperItem], done: set[str]) -> Iterator[list[dict]]:
        """Records of what is not done, a group of units at a time.

        Items of one set, task and modality have their shots in common; those that show one picture
        are a unit. Groups are formed of all items, so that a resumed run computes in the same
        shapes as an uninterrupted one.
        """
        asked = [self.read(item) for item in items]
        self._refuse_overflow(asked)
        kinds: dict[tuple, list[Asked]] = {}
        for one in asked:
            item = one.item
            kind = item.set, item.question.task, item.max_new_tokens, len(item.pictures)
            kinds.setdefault(kind, []).append(one)
        for kind in kinds.values():
            if all(one.item.key in done for one in kind):
                continue
            # Prompts of like length are padded least.
            units: dict[tuple, list[Asked]] = {}
            for one in sorted(kind, key=lambda one: len(one.ids)):
                units.setdefault((one.item.question.profile, one.item.pictures), []).append(one)
            yield from self._ask_kind(list(units.values()), done)

    def _ask_kind(self, units: list[list[Asked]], done: set[str]) -> Iterator[list[dict]]:
        most = max(map(len, units))
        root = alike(one.named for unit in units for one in unit)
        longest = max(len(one.ids) for unit in units for one in unit) - root
        new_tokens = units[0][0].item.max_new_tokens
        size = max(1, self.protocol.rows // most)
        if not self.protocol.rows:
            size = group_size(self.loaded, longest + most * new_tokens)
        shots = self._level([units[0][0]], [0], [root])[0] if root else None

        def ask(group: Sequence[list[Asked]], size: int) -> Iterator[list[dict]]:
            if all(one.item.key in done for unit in group for one in unit):
                return
            records = self._records(group, size, most, root, shots)
            yield [record for record in records if record["key"] not in done]

        yield from in_groups(units, size, ask)

    def read(self, item: PaperItem) -> Asked:
        """Ids of the whole prompt; a system prompt stands in front of it, and a space between."""
        system, processor = self.loaded.system_prompt, self.loaded.processor
        text = f"{system} {item.prompt}" if system else item.prompt
        grids = [self.grid(data) for data in item.pictures]
        where = f"{item.set}, profile {item.question.profile}"
        ids = tuple(processor.whole_prompt(text, grids, where))
        tokens = [processor.config.image_tokens * (rows * columns + 1) for rows, columns in grids]
        names = [
            -1 - self._numbers.setdefault(data, len(self._numbers))
            for data, count in zip(item.pictures, tokens, strict=True)
            for _ in range(count)
        ]
        unnamed = iter(names)
        named = tuple(next(unnamed) if i == processor.image_id else i for i in ids)
        return Asked(item, ids, named, tuple(np.cumsum([0, *tokens]).tolist()))

    def grid(self, data: bytes) -> tuple[int, int]:
        """How a picture is split; known without decoding it where none is."""
        if not self.loaded.processor.config.split:
            return 0, 0
        if data not in self._grids:
            self._grids[data] = self.picture(data).grid
        return self._grids[data]

    def _refuse_overflow(self, asked: Sequence[Asked]) -> None:
        limit = self.loaded.config.decoder.max_positions
        needed = [len(one.ids) + one.item.max_new_tokens for one in asked]
        over = sum(count > limit for count in needed)
        if self.protocol.overflow == "run" or not over:
            return
        worst = asked[int(np.argmax(needed))]
        item, task = worst.item, worst.item.question.task
        fewer = ""
        if item.shots:
            shots = self.protocol.shots(task) - 1
            fewer = f"evaluation.paper.{task}_shots={shots}, evaluation.paper.shots_from=none, or "
        raise ValueError(
            f"{over} of {len(asked)} prompts exceed the model's {limit} positions: one of "
            f"{item.set}/{task} takes {len(worst.ids)} tokens with {len(item.pictures)} pictures "
            f"and {item.max_new_tokens} for the reply. Set {fewer}evaluation.paper.overflow=run to "
            "run them all the same, as the published script does"
        )

    def _level(self, asked: Sequence[Asked], starts, ends, prefix: Prefix | None = None):
        """The level of the tokens between two places of each prompt, with the pictures there."""
        places = list(zip(asked, starts, ends, strict=True))
        shown = [[self.picture(p) for p in one.pictures(a, b)] for one, a, b in places]
        return read_level(self.loaded, [one.ids[a:b] for one, a, b in places], shown, prefix)

    def _records(
        self,
        group: Sequence[list[Asked]],
        size: int,
        most: int,
        root: int,
        prefix: Prefix | None,
    ) -> list[dict]:
        """Records of a group of units, in their order, whose first ``root`` tokens are read."""
        size = round_up(size, 1 if prefix is None else prefix.lengths.shape[0])
        units = [*group, *[group[-1]] * (size - len(group))]
        starts = [
            root if group[0][0].item.image is None else alike(one.named for one in unit)
            for unit in units
        ]
        if prefix is None or max(starts) > root:
            prefix, _ = self._level([unit[0] for unit in units], [root] * size, starts, prefix)
            size = prefix.lengths.shape[0]
        begun = [[(one, start) for one in unit] for unit, start in zip(group, starts, strict=False)]
        rows, read = spread(begun, size, most)
        # All of a question but its last token, which the reply begins with.
        rest = [one.ids[start:-1] for one, start in rows]
        question, states = read_level(self.loaded, rest, prefix=prefix)
        last = np.asarray([[len(ids) - 1] for ids in rest], np.int32)
        states = jnp.take_along_axis(states, last[:, :, None], axis=1)
        finite = np.isfinite(fetch(states).astype(np.float32)).all(axis=(1, 2))
        new_tokens = rows[0][0].item.max_new_tokens
        replies = reply(self.loaded, [one.ids[-1:] for one, _ in rows], question, new_tokens)
        return [self._record(rows[i][0], *replies[i], bool(finite[i])) for i in read]

    def _record(self, one: Asked, reply: list[int], ended: bool, finite: bool) -> dict:
        item, tokenizer = one.item, self.loaded.processor.tokenizer
        question = item.question
        # The script drops the first two ids: the beginning and a token of the prompt.
        whole = tokenizer.decode([*one.ids, *reply][2:], skip_special_tokens=True)
        record = {
            "key": item.key,
            "profile": question.profile,
            "set": item.set,
            "task": question.task,
            "modality": question.modality,
            "index": question.index,
            "attribute": question.attribute,
            "question": question.question,
            "prompt": item.prompt,
            "shots": list(item.shots),
            "image": item.image,
            "gold": question.answer,
            "options": question.options,
            "decoded": whole,
            "generated": tokenizer.decode(reply, skip_special_tokens=True),
            "state": "valid" if finite else "error",
            "ended": ended,
            "option_logprobs": None,
            "option_tokens": None,
            "letter_logprobs": None,
        }
        return self.protocol.read(record)
