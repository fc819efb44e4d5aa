"""Asks a model every question of the benchmark and writes each reply at once; scoring is another
step.

Questions about one image branch from one prefix; the options of a question share a row. A killed
run goes on behind the last whole line of its ``replies.jsonl``, and a finished one is scored again
with no model call (``mllm.evaluation.replies``).
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mllm.checkpoints.folder import Loaded
from mllm.data.packing import Example, RowShape, collate, round_up
from mllm.data.rows import lay_out
from mllm.decoding.generate import generate
from mllm.decoding.prefix import Prefix, prefill
from mllm.decoding.score import score_choices
from mllm.evaluation.parsing import answer_state
from mllm.evaluation.protocol import Protocol, lettered_question, plain_question
from mllm.evaluation.replies import record_replies
from mllm.parallel.place import fetch

BUCKET = 16  # rows of tokens are padded to a multiple of this: few programs are compiled


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


def _ask(
    loaded: Loaded, items: list[Item], done: set[str], protocol: Protocol
) -> Iterator[list[dict]]:
    """Records of what is not done, a task of a group of pictures at a time.

    Groups are formed of all items, so that a resumed run computes in the same shapes, and to the
    same bits, as an uninterrupted one.
    """
    by_picture: dict[bytes | None, list[Item]] = defaultdict(list)
    groups: list[list[Item]] = []
    for item in items:
        if item.image is not None:
            by_picture[item.image].append(item)
    pictures = list(by_picture)
    for i in range(0, len(pictures), protocol.profiles):
        groups.append([item for p in pictures[i : i + protocol.profiles] for item in by_picture[p]])
    plain = [item for item in items if item.image is None]
    size = 9 * protocol.profiles  # half of a unit's 18 questions, as with pictures
    groups += [plain[i : i + size] for i in range(0, len(plain), size)]
    for group in groups:
        pending = {item.question.task for item in group if item.key not in done}
        asker = _Asker(loaded, protocol, group) if pending else None
        for task in ("classification", "cloze", "generation"):
            if task in pending:
                records = asker.ask(task, [i for i in group if i.question.task == task])
                yield [record for record in records if record["key"] not in done]


class _Asker:
    """The prefixes of one group of questions, and what is asked behind them."""

    def __init__(self, loaded: Loaded, protocol: Protocol, group: list[Item]):
        self.loaded, self.protocol = loaded, protocol
        self.processor = loaded.processor
        pictures = list(dict.fromkeys(item.image for item in group))
        self.place = {picture: i for i, picture in enumerate(pictures)}
        self.prefix = self._prefill(pictures)

    def _prefill(self, pictures: list[bytes | None]) -> Prefix:
        with_image = pictures[0] is not None
        count = self.protocol.profiles if with_image else 1
        shown = [[self.processor.picture(p)] if with_image else [] for p in pictures]
        shown += [shown[-1]] * (count - len(shown))
        system = self.loaded.system_prompt
        batch = lay_out(
            [self.processor.prompt("", [p.grid for p in row], system)[0] for row in shown],
            shown,
            image_id=self.processor.image_id,
            image_tokens=self.processor.config.image_tokens,
            patch=self.loaded.config.vision.patch_size if with_image else 1,
        )
        loaded, batch = self.loaded, self.loaded.place_rows(batch)
        prefix, _ = prefill(loaded.model, loaded.config, loaded.variables, batch)
        return prefix

    def suffix(self, text: str, item: Item) -> list[int]:
        # How a picture is split changes the prefix only.
        grids = [] if item.image is None else [(0, 0)]
        return self.processor.prompt(text, grids, self.loaded.system_prompt)[1]

    def ask(self, task: str, items: list[Item]) -> list[dict]:
        """Records of questions of one task."""
        rows = self.protocol.profiles * (5 if task == "classification" else 2)
        records = []
        for i in range(0, len(items), rows):
            records += self._ask_rows(task, items[i : i + rows], rows)
        return records

    def _ask_rows(self, task: str, items: list[Item], rows: int) -> list[dict]:
        groups = np.zeros(rows, np.int32)
        groups[: len(items)] = [self.place[item.image] for item in items]
        asked = [plain_question(item.question.question, task) for item in items]
        options = letters = [(None, None)] * len(items)
        if task == "classification":
            texts = [list(item.question.options.values()) for item in items]
            options = self.score(asked, items, texts, groups, rows)
            asked = [lettered_question(i.question.question, i.question.options) for i in items]
            names = [list(item.question.options) for item in items]
            letters = self.score(asked, items, names, groups, rows, ended=False)
        replies = self.reply(asked, items, groups, rows, self.protocol.max_new_tokens(task))
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

    def score(self, asked, items, choices, groups, rows: int, *, ended: bool = True) -> list[tuple]:
        """(summed log-probabilities, tokens) of each choice of each question."""
        examples = [
            [
                Example(0, -1, False, tuple(self.suffix(text, item)), (), tuple(ids))
                for ids in (self.processor.answer(c, ended=ended) for c in texts)
            ]
            for text, item, texts in zip(asked, items, choices, strict=True)
        ]
        tokens = max(len(r[0].prefix) + sum(e.length for e in r) for r in examples)
        supervised = max(sum(len(e.answer) for e in r) for r in examples)
        shape = RowShape(
            round_up(tokens, BUCKET), round_up(supervised, BUCKET), max(map(len, examples))
        )
        loaded, batch = self.loaded, collate(examples, rows, shape) | {"groups": groups}
        batch = loaded.place_rows(batch)
        groups = batch.pop("groups")
        values = score_choices(
            loaded.model, loaded.config, loaded.variables, self.prefix, groups, batch
        )
        values = fetch(values).astype(np.float64)
        return [
            (values[i, : len(row)].tolist(), [len(e.answer) for e in row])
            for i, row in enumerate(examples)
        ]

    def reply(self, asked, items, groups, rows: int, max_new_tokens: int) -> list[tuple[str, bool]]:
        """(text, whether it came to an end) of each question's free reply."""
        prompts = [self.suffix(text, item) for text, item in zip(asked, items, strict=True)]
        width = round_up(max(map(len, prompts)), BUCKET)
        tokens, lengths = np.zeros((rows, width), np.int32), np.ones(rows, np.int32)
        for i, ids in enumerate(prompts):
            tokens[i, : len(ids)], lengths[i] = ids, len(ids)
        loaded = self.loaded
        asked = loaded.place_rows({"groups": groups, "prompts": tokens, "lengths": lengths})
        out, ended = generate(
            loaded.model,
            loaded.config,
            loaded.variables,
            self.prefix,
            **asked,
            max_new_tokens=max_new_tokens,
            eos_id=self.processor.eos_id,
        )
        out, ended = fetch(out), fetch(ended)
        replies = []
        for i in range(len(items)):
            ids = self.processor.until_end(out[i].tolist())
            replies.append((self.processor.decode(ids), bool(ended[i])))
        return replies


def _state(reply: str, ended: bool, *scores: list[float] | None) -> str:
    """The answer's state; a model whose log-probabilities are not finite has not answered."""
    if all(np.isfinite(values).all() for values in scores if values is not None):
        return answer_state(reply, ended=ended)
    return "error"
