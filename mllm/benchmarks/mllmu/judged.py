"""Free replies as judges see them: blanks and sentences, each with its fact and its rivals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.benchmarks.mllmu.schema import Profile
from mllm.benchmarks.mllmu.wrong_answers import known_values, named_value
from mllm.evaluation.judging.case import Case, Judge
from mllm.evaluation.judging.judges import judge_cases
from mllm.evaluation.review import Review

NAME = "judgements"
FREE = ("generation", "cloze")
TAGS = ("set", "task", "modality", "attribute")


def judging(judges: Mapping[str, Judge], sets: Mapping[str, Sequence[Profile]]) -> Review:
    """Return the review of free replies by judges.

    Args:
      judges: by name.
      sets: the people who are asked about; their training pairs say which values an attribute has.
    """

    def review(records: Sequence[dict], folder: Path, others: Mapping[str, Any]) -> dict[str, Any]:
        values = known_values(profile for profiles in sets.values() for profile in profiles)
        return judge_cases(cases_of(records, values), judges, folder)

    options = {"judges": {name: dict(judge.identity) for name, judge in judges.items()}}
    return Review(NAME, review, options)


def cases_of(
    records: Sequence[Mapping[str, Any]], values: Mapping[str, Sequence[str]]
) -> list[Case]:
    """Return the free replies among records, without those that a model failed to give.

    The fact of a blank is its answer; that of a sentence is the value of the attribute that it
    names, which published files do not say.

    Args:
      values: of ``known_values``.
    """
    found = []
    for record in records:
        if record["task"] not in FREE or record["state"] == "error":
            continue
        kind = tuple(values.get(record["attribute"], ()))
        fact = record["gold"]
        if record["task"] == "generation":
            fact = named_value(record["gold"], kind) or ""
        found.append(
            Case(
                key=record["key"],
                cluster=record["profile"],
                question=record["question"],
                right=record["gold"],
                reply=record["reply"],
                fact=fact,
                kind=kind,
                tags={name: record[name] for name in TAGS},
            )
        )
    return found
