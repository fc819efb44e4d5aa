"""Asks a model every question of the benchmark and writes each reply at once; scoring is another
step.

Questions about one image branch from one prefix; the options of a question share a row. A killed
run goes on behind the last whole line of its ``replies.jsonl``, and a finished one is scored again
with no model call (``mllm.evaluation.replies``).
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mllm.checkpoints.folder import Loaded
from mllm.data.packing import Example, RowShape, collate, round_up
from mllm.decoding.prefix import Prefix
from mllm.decoding.score import score_choices
from mllm.evaluation.branching import alike, padded, read_level, reply, spread
from mllm.evaluation.groups import group_size, in_groups
from mllm.evaluation.parsing import answer_state
from mllm.evaluation.protocol import Protocol, lettered_question, plain_question
from mllm.evaluation.replies import record_replies
from mllm.parallel.place import fetch

QUESTION = 128  # slots of a question with its options, for the estimate of memory
TASKS = ("classification", "cloze", "generation")


@dataclass(frozen=True)
class Item:
    """One question of one set, and the picture it is asked about (None: text only)."""

    set: str
    question: object  # a Question of the benchmark's schema
    image: bytes | None

    @property
    def key(self) -> str:
        """Content hash: set, profile, question, options and picture."""
        picture = "" if self.image is None else hashlib.sha256(self.image).hexdigest()
        content = json.dumps([self.set, asdict(self.question), picture], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:24]


def items_of(sets: dict[str, Iterable]) -> list[Item]:
    """Every question of every profile; a profile with several pictures shows them in turn."""
    items = []
    for name, profiles in sets.items():
        for profile in profiles:
            for question in profile.questions:
                shown = question.modality == "image_text"
                picture = profile.images[question.index % len(profile.images)] if shown else None
                items.append(Item(name, question, picture))
    return items


def collect_replies(
    loaded: Loaded,
    items: list[Item],
    protocol: Protocol,
    folder: Path,
    manifest: dict,
    progress=None,
) -> list[dict]:
    """Ask what is not answered yet and return all records, in the order of ``items``.

    Args:
      folder: holds replies.jsonl and manifest.json.
      manifest: JSON values that must be equal for replies to be reused (digests of weights and
        data), see ``replies.record_replies``.
    """
    manifest = {
        **manifest,
        "protocol": protocol.digest_fields(),
        "processor": loaded.processor.digest,
    }
    return record_replies(
        lambda done: _ask(loaded, items, done, protocol),
        [item.key for item in items],
        folder,
        manifest,
        progress=progress,
    )


@dataclass(frozen=True)
class Unit:
    """What branches from one prefix: questions about one picture, or one profile's without."""

    picture: bytes | None
    items: tuple[Item, ...]

    def of(self, task: str) -> list[Item]:
        return [item for item in self.items if item.question.task == task]


def _ask(
    loaded: Loaded, items: list[Item], done: set[str], protocol: Protocol
) -> Iterator[list[dict]]:
    """Records of what is not done, a task of a group of units at a time.

    Groups are formed of all items, so that a resumed run computes in the same shapes, and to the
    same bits, as an uninterrupted one.
    """
    gathered: dict[tuple, list[Item]] = defaultdict(list)
    for item in items:
        apart = (item.set, item.question.profile) if item.image is None else ()
        gathered[(item.image, *apart)].append(item)
    units = [Unit(key[0], tuple(found)) for key, found in gathered.items()]
    most = {task: max(len(unit.of(task)) for unit in units) for task in TASKS}
    lead = _lead(loaded, [item for item in items if item.image is None])

    def ask(group: Sequence[Unit], size: int) -> Iterator[list[dict]]:
        pending = {i.question.task for unit in group for i in unit.items if i.key not in done}
        asker = _Asker(loaded, protocol, group, size, most, lead) if pending else None
        for task in TASKS:
            if task in pending:
                yield [record for record in asker.ask(task) if record["key"] not in done]

    size = protocol.profiles or group_size(loaded, _slots(loaded, most, protocol))
    for shown in (True, False):
        kind = [unit for unit in units if (unit.picture is not None) == shown]
        # Questions of like length are padded least.
        kind.sort(key=lambda unit: max(len(item.question.question) for item in unit.items))
        yield from in_groups(kind, size, ask)


def _forms(item: Item) -> list[str]:
    """The texts as which an item is asked: a multiple choice with lettered options too."""
    question = item.question
    forms = [plain_question(question.question, question.task)]
    if question.task == "classification":
        forms.append(lettered_question(question.question, question.options))
    return forms


def _without_picture(loaded: Loaded, text: str) -> list[int]:
    """Ids of a whole prompt that shows no picture."""
    prefix, suffix = loaded.processor.prompt(text, (), loaded.system_prompt)
    return prefix + suffix


def _lead(loaded: Loaded, items: Sequence[Item]) -> list[int]:
    """Ids that the prompts of items without a picture begin with: a system prompt, above all."""
    rows = [_without_picture(loaded, text) for item in items for text in _forms(item)]
    return rows[0][: alike(rows)] if rows else []


def _slots(loaded: Loaded, most: dict[str, int], protocol: Protocol) -> int:
    """About how many slots a unit takes at most."""
    asked = (most[task] * (QUESTION + protocol.max_new_tokens(task)) for task in TASKS)
    return loaded.config.image_tokens + QUESTION + max(asked)


class _Asker:
    """The prefixes of one group of units, and what is asked behind them."""

    def __init__(
        self,
        loaded: Loaded,
        protocol: Protocol,
        units: Sequence[Unit],
        size: int,
        most: dict[str, int],
        lead: list[int],
    ):
        self.loaded, self.protocol, self.units, self.most = loaded, protocol, units, most
        self.lead = lead
        self.processor = loaded.processor
        self.prefix = self._prefill(size)
        self.size = round_up(size, self.prefix.lengths.shape[0])

    def _prefill(self, size: int) -> Prefix:
        """One node a picture, the last one again in place of those that are missing; without
        pictures one for all units.
        """
        if self.units[0].picture is None:
            return read_level(self.loaded, [self.lead])[0]
        shown = [[self.processor.picture(unit.picture)] for unit in self.units]
        shown += [shown[-1]] * (size - len(shown))
        system = self.loaded.system_prompt
        ids = [self.processor.prompt("", [p.grid for p in row], system)[0] for row in shown]
        return read_level(self.loaded, ids, shown)[0]

    def suffix(self, text: str, item: Item) -> list[int]:
        if item.image is None:
            return _without_picture(self.loaded, text)[len(self.lead) :]
        # How a picture is split changes the prefix only.
        return self.processor.prompt(text, [(0, 0)], self.loaded.system_prompt)[1]

    def ask(self, task: str) -> list[dict]:
        """Records of the questions of one task."""
        rows, read = spread([unit.of(task) for unit in self.units], self.size, self.most[task])
        records = self._records(task, rows)
        return [records[row] for row in read]

    def _records(self, task: str, items: list[Item]) -> list[dict]:
        asked = [_forms(item)[0] for item in items]
        options = letters = [(None, None)] * len(items)
        if task == "classification":
            texts = [list(item.question.options.values()) for item in items]
            options = self.score(self._suffixes(asked, items), texts, self.prefix)
            asked = [_forms(item)[1] for item in items]
            # The letters and the reply branch from the question, which is read once.
            ids = self._suffixes(asked, items)
            question, _ = read_level(self.loaded, [row[:-1] for row in ids], prefix=self.prefix)
            last = [row[-1:] for row in ids]
            names = [list(item.question.options) for item in items]
            letters = self.score(last, names, question, ended=False)
            replies = self.reply(last, question, self.protocol.max_new_tokens(task))
        else:
            ids = self._suffixes(asked, items)
            replies = self.reply(ids, self.prefix, self.protocol.max_new_tokens(task))
        return [
            {
                "key": item.key,
                "profile": item.question.profile,
                "set": item.set,
                "task": task,
                "modality": item.question.modality,
                "index": item.question.index,
                "attribute": item.question.attribute,
                "question": item.question.question,
                "prompt": prompt,
                "gold": item.question.answer,
                "options": item.question.options,
                "reply": reply,
                "state": _state(reply, ended, option[0], letter[0]),
                "ended": ended,
                "option_logprobs": option[0],
                "option_tokens": option[1],
                "letter_logprobs": letter[0],
            }
            for item, prompt, (reply, ended), option, letter in zip(
                items, asked, replies, options, letters, strict=True
            )
        ]

    def _suffixes(self, asked: list[str], items: list[Item]) -> list[list[int]]:
        return [self.suffix(text, item) for text, item in zip(asked, items, strict=True)]

    def score(
        self,
        asked: list[list[int]],
        choices: list[list[str]],
        prefix: Prefix,
        *,
        ended: bool = True,
    ) -> list[tuple]:
        """(summed log-probabilities, tokens) of each choice of each question, whose ids follow the
        prefix.
        """
        examples = [
            [
                Example(0, -1, False, tuple(ids), (), tuple(choice))
                for choice in (self.processor.answer(text, ended=ended) for text in texts)
            ]
            for ids, texts in zip(asked, choices, strict=True)
        ]
        tokens = max(len(r[0].prefix) + sum(e.length for e in r) for r in examples)
        supervised = max(sum(len(e.answer) for e in r) for r in examples)
        shape = RowShape(padded(tokens), padded(supervised), max(map(len, examples)))
        loaded = self.loaded
        batch = loaded.place_rows(collate(examples, len(examples), shape))
        values = score_choices(loaded.model, loaded.config, loaded.variables, prefix, batch)
        values = fetch(values).astype(np.float64)
        return [
            (values[i, : len(row)].tolist(), [len(e.answer) for e in row])
            for i, row in enumerate(examples)
        ]

    def reply(
        self, asked: list[list[int]], prefix: Prefix, max_new_tokens: int
    ) -> list[tuple[str, bool]]:
        """(text, whether it came to an end) of each question's free reply."""
        replies = reply(self.loaded, asked, prefix, max_new_tokens)
        return [(self.processor.decode(ids), ended) for ids, ended in replies]


def _state(reply: str, ended: bool, *scores: list[float] | None) -> str:
    """The answer's state; a model whose log-probabilities are not finite has not answered."""
    if all(np.isfinite(values).all() for values in scores if values is not None):
        return answer_state(reply, ended=ended)
    return "error"
