"""Which clips the gallery shows: reasoned about from sound, lost on the way, and not heard."""

from collections import defaultdict

from mllm.benchmarks.hear.classified import evaluated
from mllm.benchmarks.hear.relations import WORDS
from mllm.benchmarks.hear.report.layout import RELATION_TASK
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.subject import Record

MOST = 4  # clips of a kind
KEPT, LOST, UNHEARD = (
    "Heard and reasoned about",
    "Heard, but lost: right from the label, wrong from the sound",
    "Not recognised",
)
_GOLDEN = 0.6180339887498949  # multiples of it are spread evenly over [0, 1)


def picked(study: Study) -> list[tuple[str, str]]:
    """Return (what a clip stands for, its id), of different labels where there are enough."""
    pools: dict[str, list[tuple[str, str]]] = {KEPT: [], LOST: [], UNHEARD: []}
    for clip, records in asked_about(study.main.records[0]).items():
        kind = kind_of(records)
        if kind is not None:
            pools[kind].append((clip, records[0]["label"]))
    found, labels = [], set()
    for at, (kind, pool) in enumerate(pools.items()):
        for turn in range(min(MOST, len(pool))):
            left = [one for one in pool if one[1] not in labels] or [
                one for one in pool if (kind, one[0]) not in found
            ]
            chosen = left[int((at + turn + 0.5) * _GOLDEN % 1 * len(left))]
            labels.add(chosen[1])
            found.append((kind, chosen[0]))
    return found


def asked_about(records: list[Record]) -> dict[str, list[Record]]:
    """Return the relation questions about each clip, in all conditions, without errors."""
    found = defaultdict(list)
    for record in evaluated(records):
        if record["task"] == RELATION_TASK and record["state"] == "valid":
            found[record["clip"]].append(record)
    return found


def kind_of(records: list[Record]) -> str | None:
    """Return what the questions about a clip show; None where they show none of these."""
    right = {
        (record["condition"], record["relation"], record["yes"]): record["metrics"]["accuracy"]
        for record in records
    }
    if right.get(("A", "label", True)) != 1.0:
        return UNHEARD if ("A", "label", True) in right else None
    asked = [(relation, yes) for relation in WORDS for yes in (True, False)]
    words = [right.get(("T", *one)) for one in asked]
    sounds = [right.get(("A", *one)) for one in asked]
    both = [(t, a) for t, a in zip(words, sounds, strict=True) if None not in (t, a)]
    if any(t == 1.0 and a == 0.0 for t, a in both):
        return LOST
    return KEPT if both and all(a == 1.0 for _, a in both) else None
