"""The strict protocol: what a model is asked, letter by letter, and how the answers are read.

Zero-shot. A multiple choice is asked three times: as the plain question, whose options are scored
by their text; with lettered options, whose letters are scored; and the same, answered freely. Cloze
and generation carry the short instruction that training pairs of their form carry. Decoding is
greedy.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

from mllm.benchmarks.mllmu.answerable import Skipped, strict_form
from mllm.benchmarks.mllmu.instructions import INSTRUCTIONS
from mllm.benchmarks.mllmu.schema import Question
from mllm.data.conversation import image, user
from mllm.evaluation.parsing import answer_state
from mllm.evaluation.request import (
    Answered,
    Choices,
    Reply,
    Request,
    Rounds,
    Text,
    content_key,
    described,
)
from mllm.registry import lookup

LETTER_INSTRUCTION = "Answer with one letter."
FORMS = {"classification": "plain", "cloze": "blank", "generation": "sentence"}


@dataclass(frozen=True)
class StrictProtocol:
    """What is asked, and the most new tokens of a free reply, by task.

    ``asks`` is "all", or "options": of each multiple choice only the scores of its options by text.
    """

    classification_tokens: int = 16
    cloze_tokens: int = 16
    generation_tokens: int = 48
    asks: str = "all"

    name: ClassVar[str] = "strict"

    def __post_init__(self):
        lookup(dict.fromkeys(("all", "options")), self.asks, "value of config.evaluation.asks:")

    def max_new_tokens(self, task: str) -> int:
        """Return the most tokens of a reply."""
        return getattr(self, f"{task}_tokens")

    def digest_fields(self) -> dict:
        """Return what must be equal for two replies to be comparable."""
        limits = {task: self.max_new_tokens(task) for task in FORMS}
        fewer = {} if self.asks == "all" else {"asks": self.asks}
        return {"name": self.name, **limits, **fewer}


@dataclass(frozen=True)
class Item:
    """One question of one set, and the picture it is asked about (None: text only)."""

    set: str
    question: Question
    picture: bytes | None


def strict_items(sets: Mapping[str, Iterable], skipped: list[Skipped] | None = None) -> list[Item]:
    """Return every question of every profile; a profile with several pictures shows them in turn.

    Args:
      sets: profiles by name of the set.
      skipped: takes the questions that cannot be asked or scored.
    """
    items, skipped = [], [] if skipped is None else skipped
    for name, profiles in sets.items():
        for profile in profiles:
            for question in profile.questions:
                try:
                    asked = strict_form(question)
                except ValueError as reason:
                    skipped.append(Skipped(name, question, str(reason)))
                    continue
                shown = asked.modality == "image_text"
                picture = profile.images[asked.index % len(profile.images)] if shown else None
                items.append(Item(name, asked, picture))
    return items


def plain_question(question: str, task: str) -> str:
    """Return the question as it is put for a free answer, or for options scored by their text."""
    return question + INSTRUCTIONS[FORMS[task]]


def lettered_question(question: str, options: Mapping[str, str]) -> str:
    """Return the question and its options after letters, one per line."""
    lines = [question, *(f"{letter}: {text}" for letter, text in options.items())]
    return "\n".join([*lines, LETTER_INSTRUCTION])


def strict_rounds(items: Sequence[Item], protocol: StrictProtocol) -> Rounds:
    """Yield all requests in one round."""
    requests = [request for item in items for request in _requests(item, protocol)]
    yield [r for r in requests if protocol.asks in ("all", r.tags["wanted"])]


def _requests(item: Item, protocol: StrictProtocol) -> list[Request]:
    question = item.question
    plain = plain_question(question.question, question.task)
    free = Text(protocol.max_new_tokens(question.task))
    if question.task != "classification":
        return [_request(item, plain, "reply", free)]
    lettered = lettered_question(question.question, question.options)
    return [
        _request(item, plain, "options", Choices(tuple(question.options.values()))),
        _request(item, lettered, "letters", Choices(tuple(question.options), ended=False)),
        _request(item, lettered, "reply", free),
    ]


def _request(item: Item, text: str, wanted: str, ask: Choices | Text) -> Request:
    question = item.question
    shown = () if item.picture is None else (image(item.picture),)
    turns = (user(*shown, text),)
    tags = {"set": item.set, **asdict(question), "wanted": wanted}
    key = content_key("strict", item.set, asdict(question), wanted, described(ask), turns=turns)
    return Request(key, question.profile, tags, turns, ask)


def strict_records(answered: Iterable[Answered]) -> list[dict]:
    """Return a record for each question, in the order of the items; see ``scores``. A reply that
    was not asked for is null.
    """
    found: dict[tuple, dict[str, Answered]] = {}
    for request, reply in answered:
        tags = request.tags
        place = tuple(tags[k] for k in ("set", "profile", "task", "modality", "index", "question"))
        found.setdefault(place, {})[tags["wanted"]] = request, reply
    return [_record(parts) for parts in found.values()]


def _record(parts: Mapping[str, Answered]) -> dict:
    request, _ = next(iter(parts.values()))
    reply, options, letters = (
        parts[k][1] if k in parts else None for k in ("reply", "options", "letters")
    )
    text = None if reply is None else (reply.text or "").strip()
    states = {found.state for found in (reply, options, letters) if found is not None}
    if "error" in states:
        state = "error"
    elif "refusal" in states:  # a service may say itself that it declines
        state = "refusal"
    else:
        state = "valid" if reply is None else answer_state(text, ended=reply.ended)
    return {
        **question_fields(request),
        "prompt": request.turns[-1].text,
        "reply": text,
        "state": state,
        "ended": None if reply is None else reply.ended,
        "option_logprobs": _listed(options, "logprobs"),
        "option_tokens": _listed(options, "tokens"),
        "letter_logprobs": _listed(letters, "logprobs"),
    }


def question_fields(request: Request) -> dict:
    """Return the fields of a record that say what was asked."""
    tags = request.tags
    names = ("profile", "set", "task", "modality", "index", "attribute", "question")
    fields = {"key": request.key, **{name: tags[name] for name in names}}
    return {**fields, "gold": tags["answer"], "options": tags["options"]}


def _listed(reply: Reply | None, name: str) -> list | None:
    values = None if reply is None else getattr(reply, name)
    return None if values is None else list(values)
