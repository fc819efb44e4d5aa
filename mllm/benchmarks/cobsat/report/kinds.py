"""How an answer fails, told from its record."""

import functools

from mllm.benchmarks.cobsat.prompt_lists import MOST_SHOTS, Sample, samples
from mllm.benchmarks.cobsat.report.study import Record
from mllm.benchmarks.cobsat.tasks import TASKS

RIGHT = "right"
# In the order in which they are tried; every wrong answer is of one kind.
KINDS = {
    "missing": "no output",
    "unread": "no detail or no object found in it",
    "last": "the last picture again",
    "earlier": "an earlier picture again",
    "misled": "right word, θ as the misleading word says",
    "theta_wrong": "right word, another θ",
    "word_wrong": "right θ, another word",
    "both_wrong": "both wrong",
}
SIDES = {
    (True, False): "object right, detail wrong",
    (False, True): "detail right, object wrong",
    (False, False): "both wrong or unknown",
}


def kind_of(record: Record, wrong: tuple[str, ...] = ()) -> str:
    """Return ``RIGHT`` or a key of ``KINDS``.

    Args:
      wrong: the misleading words of the prompt, that of the query last; empty for other prompts.
    """
    if record["metrics"]["overall"]:
        return RIGHT
    if record["state"] == "error":
        return "missing"
    found = record["judged"].get(record["rule"])
    if found is None or None in found.values():
        return "unread"
    pair = [record["theme"], found["detail"], found["object"]]
    shown = [list(one) for one in record["shown"]]
    if shown and pair == shown[-1]:
        return "last"
    if pair in shown:
        return "earlier"
    if record["metrics"]["textual"]:
        visual = "detail" if record["theta"] == record["theme"] else "object"
        return "misled" if wrong and found[visual] == wrong[-1] else "theta_wrong"
    return "word_wrong" if record["metrics"]["visual"] else "both_wrong"


def sides_of(record: Record) -> tuple[bool, bool]:
    """Return whether the object and the detail of an answer are right."""
    return bool(record["metrics"]["object"]), bool(record["metrics"]["detail"])


def misleading_words(record: Record, data: str) -> tuple[str, ...]:
    """Return the misleading words of a record's prompt, none where it has none.

    Args:
      data: the data mode of the evaluation.
    """
    if record["prompt"] != "misleading" or data not in MOST_SHOTS:
        return ()
    task = next((one.id for one in TASKS.values() if one.name == record["task"]), None)
    known = _samples(task, int(record["shots"]), data) if task else []
    number = record["number"]
    if number >= len(known) or known[number].name != record["sample"]:
        return ()
    return known[number].wrong


@functools.lru_cache(maxsize=64)
def _samples(task: int, shots: int, data: str) -> list[Sample]:
    return samples(task, shots, data)
