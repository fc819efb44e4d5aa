"""The trials that a configuration file lists for tuning, by what a system chooses among them, and
the rules that make them fair.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Values = dict[str, Any]
Scores = Sequence[Mapping[str, Any]]

METHOD, VARIANT = "objective.name", "objective.variant"
_OURS = ("seed", VARIANT)  # the sweep sets these itself


@dataclass(frozen=True)
class Criterion:
    """By what a system chooses among the trials of a method.

    Attributes:
      rule: in a sentence or two, for readers of the report.
      settings: dotted keys with the values that make a run one of tuning; ``tuning`` is True.
      anchors: stages that trials are compared with; they are made and asked too.
      reads: whether a score of an evaluation is read at all.
      measure: (scores of a trial, {anchor: its scores}) -> numbers by name, fractions of 1; it is
        given only what ``reads`` lets through.
      decides: the names of the numbers that decide, in this order; the least is best.
    """

    rule: str
    settings: Mapping[str, Any]
    anchors: tuple[str, ...]
    reads: Callable[[Mapping[str, Any]], bool]
    measure: Callable[[Scores, Mapping[str, Scores]], Mapping[str, float]]
    decides: tuple[str, ...]


def by_method(trials: Sequence[Values], settings: Mapping[str, Any]) -> dict[str, list[Values]]:
    """Return the values of each trial by method, without the method's name.

    Args:
      trials: overrides of the configuration with ``objective.name``, as ``trials(config)`` of a
        configuration file yields them.
      settings: keys that tuning sets itself.

    Raises:
      ValueError: a trial names no method, sets a key that is not its own or one that a trial of
        another method sets too, or stands there twice; or methods have unequal numbers of trials.
    """
    found: dict[str, list[Values]] = {}
    owner: dict[str, str] = {}
    for number, trial in enumerate(trials, 1):
        if METHOD not in trial:
            raise ValueError(
                f"trial {number} of trials(config) has no key {METHOD!r}: {trial}; name the method "
                "that it is a trial of"
            )
        values = {key: value for key, value in trial.items() if key != METHOD}
        name = trial[METHOD]
        for key in values:
            if key in (*_OURS, *settings):
                raise ValueError(
                    f"trial {number} of trials(config), of {name!r}, sets {key!r}, which tuning "
                    "sets itself; leave it out"
                )
            if owner.setdefault(key, name) != name:
                raise ValueError(
                    f"trials of {owner[key]!r} and {name!r} both set {key!r}, but only one of them "
                    "can decide its value; let each method have keys of its own"
                )
        if values in found.setdefault(name, []):
            raise ValueError(f"trials(config) yields a trial of {name!r} twice: {values}")
        found[name].append(values)
    counts = {name: len(tried) for name, tried in found.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ValueError(
            f"trials(config) yields unequal numbers of trials ({listed}); expected as many of each "
            "method, since a method that was tried more often is favoured"
        )
    return found


def runs_of(
    methods: Mapping[str, Sequence[Values]], anchors: Sequence[str], settings: Mapping[str, Any]
) -> list[Values]:
    """Return the runs of tuning, in order: what trials are compared with, then the trials, each
    with a variant that names its folder.
    """
    runs = [{**settings, METHOD: name} for name in anchors]
    for name, tried in methods.items():
        runs += [
            {**values, **settings, METHOD: name, VARIANT: f"trial{number}"}
            for number, values in enumerate(tried, 1)
        ]
    return runs
