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
from mllm.data.images import Picture
from mllm.data.packing import round_up
from mllm.data.rows import lay_out
from mllm.decoding.generate import generate
from mllm.decoding.prefix import prefill
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
BUCKET = 64  # prompts are padded to a multiple of this: few programs are compiled
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


class _Asker:
    """Runs whole prompts in batches."""

    def __init__(self, loaded: Loaded, protocol: PaperProtocol):
        self.loaded, self.protocol = loaded, protocol
        self.picture = lru_cache(PICTURES)(loaded.processor.picture)
        self._grids: dict[bytes, tuple[int, int]] = {}

    def ask(self, items: Sequence[PaperItem], done: set[str]) -> Iterator[list[dict]]:
        """Records of what is not done, a batch at a time.

        Prompts with as many images and about as many tokens go together. Batches are formed of all
        items, so that a resumed run computes in the same shapes as an uninterrupted one.
        """
        lengths = [len(self.tokens(item)) for item in items]
        self._refuse_overflow(items, lengths)
        size, order = self.protocol.rows, {}
        for item, length in zip(items, lengths, strict=True):
            kind = item.max_new_tokens, len(item.pictures), round_up(length, BUCKET)
            order.setdefault(kind, []).append(item)
        for kind in sorted(order):
            for first in range(0, len(order[kind]), size):
                batch = order[kind][first : first + size]
                if any(item.key not in done for item in batch):
                    records = self._records(batch, width=kind[2])
                    yield [record for record in records if record["key"] not in done]

    def tokens(self, item: PaperItem) -> list[int]:
        """Ids of the whole prompt; a system prompt stands in front of it, and a space between."""
        system = self.loaded.system_prompt
        text = f"{system} {item.prompt}" if system else item.prompt
        grids = [self.grid(data) for data in item.pictures]
        where = f"{item.set}, profile {item.question.profile}"
        return self.loaded.processor.whole_prompt(text, grids, where)

    def grid(self, data: bytes) -> tuple[int, int]:
        """How a picture is split; known without decoding it where none is."""
        if not self.loaded.processor.config.split:
            return 0, 0
        if data not in self._grids:
            self._grids[data] = self.picture(data).grid
        return self._grids[data]

    def _refuse_overflow(self, items: Sequence[PaperItem], lengths: list[int]) -> None:
        limit = self.loaded.config.decoder.max_positions
        needed = [n + item.max_new_tokens for n, item in zip(lengths, items, strict=True)]
        over = sum(count > limit for count in needed)
        if self.protocol.overflow == "run" or not over:
            return
        worst = int(np.argmax(needed))
        item, task = items[worst], items[worst].question.task
        fewer = ""
        if item.shots:
            shots = self.protocol.shots(task) - 1
            fewer = f"evaluation.paper.{task}_shots={shots}, evaluation.paper.shots_from=none, or "
        raise ValueError(
            f"{over} of {len(items)} prompts exceed the model's {limit} positions: one of "
            f"{item.set}/{task} takes {lengths[worst]} tokens with {len(item.pictures)} pictures "
            f"and {item.max_new_tokens} for the reply. Set {fewer}evaluation.paper.overflow=run to "
            "run them all the same, as the published script does"
        )

    def _records(self, items: Sequence[PaperItem], width: int) -> list[dict]:
        replies = self._reply(items, width)
        tokenizer, records = self.loaded.processor.tokenizer, []
        for item, (prompt, reply, ended, finite) in zip(items, replies, strict=True):
            question = item.question
            # The script drops the first two ids: the beginning and a token of the prompt.
            whole = tokenizer.decode((prompt + reply)[2:], skip_special_tokens=True)
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
            records.append(self.protocol.read(record))
        return records

    def _reply(self, items: Sequence[PaperItem], width: int) -> list[tuple]:
        """(ids of the prompt, ids of the reply before its end, whether it came to an end, whether
        the model's states were finite) of each item.
        """
        loaded, rows = self.loaded, self.protocol.rows
        ids = [self.tokens(item) for item in items]
        shown: list[list[Picture]] = [[self.picture(p) for p in item.pictures] for item in items]
        # A last batch is filled up, so that it runs in the program of the others.
        filled = ids + [ids[-1]] * (rows - len(ids))
        batch = lay_out(
            [row[:-1] for row in filled],
            shown + [shown[-1]] * (rows - len(shown)),
            image_id=loaded.processor.image_id,
            image_tokens=loaded.config.image_tokens,
            width=width,
            patch=loaded.config.vision.patch_size if shown[0] else 1,
        )
        batch = loaded.place_rows(batch)
        prefix, states = prefill(loaded.model, loaded.config, loaded.variables, batch)
        asked = {
            "groups": np.arange(rows, dtype=np.int32),
            "prompts": np.asarray([[row[-1]] for row in filled], np.int32),
            "lengths": np.ones(rows, np.int32),
        }
        tokens, ended = generate(
            loaded.model,
            loaded.config,
            loaded.variables,
            prefix,
            **loaded.place_rows(asked),
            max_new_tokens=items[0].max_new_tokens,
            eos_id=loaded.processor.eos_id,
        )
        last = jnp.take_along_axis(states, (prefix.lengths - 1)[:, None, None], axis=1)
        finite = np.isfinite(fetch(last).astype(np.float32)).all(axis=(1, 2))
        tokens, ended = fetch(tokens).tolist(), fetch(ended)
        return [
            (row, loaded.processor.until_end(tokens[i]), bool(ended[i]), bool(finite[i]))
            for i, row in enumerate(ids)
        ]
