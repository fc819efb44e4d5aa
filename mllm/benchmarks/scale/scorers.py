"""What a reply to an item is worth: pure functions of the item and the text of the reply.

Every kind of item has metrics, each between 0 and 1 unless it says otherwise; one of them is the
value of the answer. A reply that states no answer has value 0 and state "invalid": it counts as
wrong and stays visible. A call that failed is not scored.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mllm.benchmarks.scale.item import Item
from mllm.benchmarks.scale.reading import READERS, read_yes_no
from mllm.evaluation.number_metrics import box_iou, kendall_tau, relaxed_match, yes_no_rates
from mllm.evaluation.parsing import answer_state, json_object, normalise
from mllm.evaluation.text_metrics import (
    anls,
    character_error_rate,
    equals_any,
    short_answer,
    vqa_accuracy,
    word_error_rate,
)
from mllm.registry import lookup

RIGHT = 0.5  # an answer is right from this value on; most values are 0 or 1


@dataclass(frozen=True)
class Scored:
    """The worth of one answer.

    Attributes:
      value: 0 to 1; None where the call failed.
      parsed: the answer that was read, for a choice the text of the option; None where the reply
        states none.
      state: "valid", "refusal", "invalid" or "error".
      plain: whether the reply is the answer and nothing else, as was asked.
      metrics: every metric of the kind by name. An answer that was not read has those that have a
        worst value, and that value.
    """

    value: float | None
    parsed: str | None
    state: str
    plain: bool = True
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether the answer is right."""
        return self.value is not None and self.value >= RIGHT


Measure = Callable[[Item, str], dict[str, float]]


def score(
    item: Item,
    reply: str | None,
    *,
    options: Sequence[str] | None = None,
    ended: bool = True,
    state: str = "valid",
) -> Scored:
    """Score the text of a reply.

    Args:
      item: what was asked.
      reply: the text.
      options: of a choice, in the order in which the letters name them; the item's by default.
      ended: False where the reply was cut off at its limit.
      state: of the ``Reply``: "error" is not scored, "refusal" is one whatever the text says.

    Raises:
      ValueError: an unknown kind or metric; the message names the item.
    """
    if state == "error":
        return Scored(None, None, "error")
    measure, worth = lookup(METRICS, item.kind, f"kind of item {item.id!r}:")
    worth = _headline(item, worth)
    reading = READERS[item.kind](item, reply or "", options or item.options)
    if state == "valid":
        state = _state(item, reply or "", ended)
    if state == "valid" and reading.answer is None:
        state = "invalid"
    if state != "valid":
        return Scored(0.0, None, state, plain=False, metrics=_unread(item))
    metrics = measure(item, reading.answer)
    return Scored(metrics[worth], reading.answer, state, reading.plain, metrics)


def score_by_logprob(
    item: Item,
    logprobs: Sequence[float] | None,
    tokens: Sequence[int] | None,
    *,
    options: Sequence[str] | None = None,
) -> Scored | None:
    """Score a choice by the log-probability a token of each option; None where it was not measured.

    A tie of k best options that includes the right one is worth 1 / k, so that a model that gives
    equal scores is at chance; ``parsed`` is then None.

    Args:
      item: of kind "choice".
      logprobs: summed log-probability of each option, in nats.
      tokens: number of tokens of each option.
      options: in the order of ``logprobs``; the item's by default.

    Raises:
      ValueError: the numbers do not fit the options, or one is NaN.
    """
    if logprobs is None:
        return None
    options = options or item.options
    if not len(logprobs) == len(tokens or ()) == len(options) or min(tokens or (0,)) < 1:
        raise ValueError(
            f"item {item.id!r}: log-probabilities {logprobs} of {tokens} tokens, expected one of "
            f"each option of {tuple(options)}"
        )
    means = [total / count for total, count in zip(logprobs, tokens, strict=True)]
    if any(math.isnan(mean) for mean in means):
        raise ValueError(f"item {item.id!r}: log-probabilities {logprobs}, expected numbers")
    best = [text for text, mean in zip(options, means, strict=True) if mean == max(means)]
    value = (item.answers[0] in best) / len(best)
    parsed = best[0] if len(best) == 1 else None
    return Scored(value, parsed, "valid", metrics={"accuracy": value})


def chance(item: Item) -> float | None:
    """Return the value that a uniform draw from the candidates has on average.

    Imported items without candidates: one over the number of options; None where there are none.
    """
    candidates = item.candidates or item.options
    if not candidates:
        return None
    return math.fsum(score(item, text).value for text in candidates) / len(candidates)


def summarise(items: Sequence[Item], scored: Sequence[Scored]) -> dict[str, float]:
    """Return the means of the metrics of items of one kind, over what is not in error.

    Numbers and orders that were not read have no absolute error and no tau: these means are over
    the others. Yes-or-no items add precision, recall, F1 and yes-rate; every kind adds ``plain``,
    the rate of replies that are the answer and nothing else.
    """
    pairs = [(i, s) for i, s in zip(items, scored, strict=True) if s.state != "error"]
    columns: dict[str, list[float]] = {}
    for _, result in pairs:
        for name, value in result.metrics.items():
            columns.setdefault(name, []).append(value)
        columns.setdefault("plain", []).append(float(result.plain and result.state == "valid"))
    means = {name: math.fsum(values) / len(values) for name, values in columns.items()}
    if pairs and all(item.kind == "yes_no" for item, _ in pairs):
        gold = [item.answers[0] == "yes" for item, _ in pairs]
        said = [None if s.parsed is None else s.parsed == "yes" for _, s in pairs]
        means |= yes_no_rates(gold, said)
    return means


def _state(item: Item, reply: str, ended: bool) -> str:
    """Return the state of the text; what equals an accepted answer or an option is valid whatever
    it looks like.
    """
    if normalise(reply) in {normalise(text) for text in (*item.answers, *item.options)}:
        return "valid"
    return answer_state(reply, ended=ended)


def _headline(item: Item, default: str) -> str:
    """Return the metric that is the item's value: the one its scene names, VQA accuracy where there
    are ten annotators, else that of its kind.
    """
    if item.kind == "text" and len(item.answers) >= 10:
        default = "vqa"
    name = item.scene.get("metric", default)
    known = {"text": ("exact", "anls", "vqa", "relaxed"), "number": ("exact", "relaxed")}
    allowed = {default, *known.get(item.kind, ())}
    return lookup({metric: metric for metric in allowed}, name, f"metric of item {item.id!r}:")


def _unread(item: Item) -> dict[str, float]:
    """Return the metrics of a reply that states no answer."""
    if item.kind == "text" and len(item.answers) > 1:
        return {**UNREAD["text"], "vqa": 0.0}
    return UNREAD[item.kind]


def _choice(item: Item, answer: str) -> dict[str, float]:
    return {"accuracy": float(answer == item.answers[0])}


def _yes_no(item: Item, answer: str) -> dict[str, float]:
    gold = read_yes_no(item, item.answers[0]).answer
    return {"accuracy": float(answer == gold)}


def _text(item: Item, answer: str) -> dict[str, float]:
    exact = equals_any(item.answers, answer)
    metrics = {"exact": exact, "anls": anls(item.answers, answer)}
    metrics["relaxed"] = max(exact, *(_relaxed(gold, answer) for gold in item.answers))
    if len(item.answers) > 1:
        metrics["vqa"] = vqa_accuracy(item.answers, answer)
    return metrics


def _number(item: Item, answer: str) -> dict[str, float]:
    said, gold = float(answer), [_value(text) for text in item.answers]
    return {
        "exact": float(said in gold),
        "relaxed": max(relaxed_match(value, said) for value in gold),
        "absolute_error": min(abs(value - said) for value in gold),
    }


def _box(item: Item, answer: str) -> dict[str, float]:
    iou = max(box_iou(_box_of(gold), _box_of(answer)) for gold in item.answers)
    return {"iou_at_50": float(iou >= 0.5), "iou": iou}


def _order(item: Item, answer: str) -> dict[str, float]:
    orders = [[int(number) for number in re.findall(r"\d+", gold)] for gold in item.answers]
    said = [int(number) for number in re.findall(r"\d+", answer)]
    tau = max(kendall_tau(order, said) for order in orders)
    return {"exact": float(said in orders), "tau": tau}


def _transcript(item: Item, answer: str) -> dict[str, float]:
    exact = normalise(answer) in {normalise(gold) for gold in item.answers}
    return {
        "exact": float(exact),
        "cer": min(character_error_rate(gold, answer) for gold in item.answers),
        "wer": min(word_error_rate(gold, answer) for gold in item.answers),
    }


def _format(item: Item, answer: str) -> dict[str, float]:
    if item.scene["rule"]["type"] == "json":
        right = any(_entries(gold) == _entries(answer) for gold in item.answers)
    else:
        right = answer in item.answers
    return {"accuracy": float(right), "fits": 1.0}


def _entries(text: str) -> dict[str, str]:
    return {key: short_answer(str(value)) for key, value in (json_object(text) or {}).items()}


def _relaxed(gold: str, answer: str) -> float:
    try:
        return relaxed_match(_value(gold), _value(answer))
    except ValueError:
        return 0.0


def _value(text: str) -> float:
    return float(short_answer(text))


def _box_of(text: str) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = map(float, re.findall(r"-?\d+(?:\.\d+)?", text))
    return x0, y0, x1, y1


# What a reply that states no answer scores. There is no error of a number, and no order.
UNREAD: dict[str, dict[str, float]] = {
    "choice": {"accuracy": 0.0},
    "yes_no": {"accuracy": 0.0},
    "text": {"exact": 0.0, "anls": 0.0, "relaxed": 0.0},
    "number": {"exact": 0.0, "relaxed": 0.0},
    "box": {"iou_at_50": 0.0, "iou": 0.0},
    "order": {"exact": 0.0},
    "transcript": {"exact": 0.0, "cer": 1.0, "wer": 1.0},
    "format": {"accuracy": 0.0, "fits": 0.0},
}
# The metrics of each kind, and the one that is the value of an answer.
METRICS: dict[str, tuple[Measure, str]] = {
    "choice": (_choice, "accuracy"),
    "yes_no": (_yes_no, "accuracy"),
    "text": (_text, "exact"),
    "number": (_number, "exact"),
    "box": (_box, "iou_at_50"),
    "order": (_order, "exact"),
    "transcript": (_transcript, "exact"),
    "format": (_format, "accuracy"),
}
