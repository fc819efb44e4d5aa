"""Which runs may stand in one table, and how runs of one method are named."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from mllm.evaluation.places import conditions, with_options
from mllm.reporting.layout import Layout
from mllm.reporting.runs import Problem, Run

# Keys that differ between runs of one configuration and say nothing about the method.
PLACE_KEYS = frozenset({"seed", "workdir", "data_dir", "checkpoint", "parent", "name", "variant"})
_MISSING = "nothing"
_SHOWN = 3  # differences that a reason names


@dataclasses.dataclass(frozen=True)
class Sorted:
    """Evaluations by where they may stand.

    Attributes:
      runs: may stand in one table.
      others: evaluations under further protocols or other options, which stand in no table with
        these; a run that was evaluated under several may be in both.
      problems: why runs are not in the table.
    """

    runs: list[Run]
    others: list[Run]
    problems: list[Problem]


def main_protocol(runs: list[Run], records: dict[str, dict[str, Any]]) -> str | None:
    """Return the protocol of the tables: the one that runs were made with if any was evaluated
    under it, else the one under which most were evaluated.

    Args:
      records: name of a run -> its run.json.
    """
    own = [run for run in runs if run.protocol == records[run.name]["protocol"]]
    evaluated = {(run.name, run.protocol) for run in own or runs}
    counts = Counter(protocol for _, protocol in evaluated)
    return min(counts, key=lambda protocol: (-counts[protocol], protocol), default=None)


def sort_out(runs: list[Run], layout: Layout, protocol: str | None) -> Sorted:
    """Divide evaluations into those that may stand in the tables and others.

    All runs of the tables agree in benchmark, axes, data and protocol; those of one group also in
    the manifest of their evaluation, except for its keys in `layout.own_keys`. Of several kinds the
    most frequent one stays; of equally frequent ones that whose first method comes first in the
    tables. An evaluation under other options carries their digest in the name of its protocol.
    """
    sorted_out = Sorted([], [], [])
    for name in sorted({run.protocol for run in runs}):
        found = _of_one_protocol([run for run in runs if run.protocol == name], layout)
        if name == protocol:
            sorted_out.runs.extend(found.runs)
            sorted_out.problems.extend(found.problems)
        else:
            sorted_out.others.extend(found.runs)
        sorted_out.others.extend(found.others)
    if sorted_out.runs:
        there = {run.name for run in runs if run.protocol == protocol}
        missing = {run.name: run for run in runs if run.name not in there}
        sorted_out.problems.extend(
            _left_out(run, sorted_out.runs, _setting) for run in missing.values()
        )
    return sorted_out


def _of_one_protocol(runs: list[Run], layout: Layout) -> Sorted:
    # Where a run was evaluated twice under the same conditions, one of the two is enough.
    once: dict[tuple, Run] = {}
    twice = []
    for run in sorted(runs, key=lambda run: run.records_path):
        key = run.name, run.group, repr(sorted(_options(run, layout).items()))
        if apart := _differences(_conditions(run), _conditions(once.setdefault(key, run))):
            twice.append(_second(run, apart))
    chosen, problems = _split(list(once.values()), layout, _setting)
    problems = twice + problems
    others = []
    groups = {run.group: None for run in chosen if run.group is not None}
    for group in groups or [None]:
        members = [run for run in chosen if run.group in (group, None)]
        kept, found = _split(members, layout, lambda run: _options(run, layout))
        there, outside = {run.name for run in kept}, {id(run) for run in members}
        outside -= {id(run) for run in kept}
        others += [run for run in members if id(run) in outside]
        chosen = [run for run in chosen if id(run) not in outside]
        problems += [problem for problem in found if problem.name not in there]
    named = [
        dataclasses.replace(run, protocol=with_options(run.protocol, run.manifest, layout.own_keys))
        for run in others
    ]
    return Sorted(chosen, named, problems)


def _split(
    runs: list[Run], layout: Layout, known: Callable[[Run], dict[str, Any]]
) -> tuple[list[Run], list[Problem]]:
    """Return (the runs of the kind that stays, why each other run is left out)."""
    kinds: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        kinds[repr(sorted(known(run).items()))].append(run)
    if len(kinds) < 2:
        return runs, []
    kept = min(
        kinds.values(),
        key=lambda kind: (
            -len({run.name for run in kind}),
            min(layout.order(run.method) for run in kind),
            min(run.records_path.as_posix() for run in kind),  # the first comes before "@"
        ),
    )
    return kept, [
        _left_out(run, kept, known) for kind in kinds.values() if kind is not kept for run in kind
    ]


def _left_out(run: Run, kept: list[Run], known: Callable[[Run], dict[str, Any]]) -> Problem:
    """Return why a run does not stand with those of a table."""
    more = len(kept) - 1
    others = kept[0].name + (f" and {more} other{'s' if more > 1 else ''}" if more else "")
    return Problem(
        run.name,
        run.method,
        f"left out because it was evaluated under other conditions than {others}: "
        f"{_differences(known(run), known(kept[0]))}; evaluate it again under theirs, or report "
        "it in a folder of its own",
    )


def _second(run: Run, apart: str) -> Problem:
    """Return why an evaluation of a run does not stand with another one of the same run."""
    return Problem(
        run.name,
        run.method,
        f"one of its evaluations is left out, since a run has one row in a table: {apart}; make "
        "the second one with another config.objective.variant",
    )


def differences(run: Run, like: Run, layout: Layout) -> str:
    """Return in which conditions two evaluations differ, or "" where they agree."""
    return _differences(_options(run, layout), _options(like, layout))


def unlike(run: Run, like: Run, layout: Layout) -> str:
    """Return in what two runs of two studies differ that must be equal in a table, or ""."""
    return _differences(*({**_setting(one), **_options(one, layout)} for one in (run, like)))


def name_variants(runs: list[Run]) -> list[Run]:
    """Return the runs with variants, where several are of one method and seed: the names that the
    configuration gave them (``objective.variant``), or else the settings in which they differ.

    Raises:
      ValueError: two runs have the same method, seed, group and configuration.
    """
    by_method = defaultdict(list)
    for run in runs:
        by_method[run.method, run.group].append(run)
    named = []
    for group in by_method.values():
        if len({run.seed for run in group}) == len(group):
            named += group
            continue
        configs = [flatten(run.config) for run in group]
        given = [str(config.get("objective.variant") or "") for config in configs]
        if len({*zip(given, (run.seed for run in group), strict=True)}) == len(group):
            named += [
                dataclasses.replace(run, variant=name)
                for run, name in zip(group, given, strict=True)
            ]
            continue
        keys = sorted(
            key
            for key in set().union(*configs)
            if key.rsplit(".", 1)[-1] not in PLACE_KEYS
            and len({repr(config.get(key)) for config in configs}) > 1
        )
        seen: dict[tuple[str, int], str] = {}
        for run, config in zip(group, configs, strict=True):
            variant = ", ".join(f"{key.rsplit('.', 1)[-1]}={config.get(key)}" for key in keys)
            other = seen.setdefault((variant, run.seed), run.name)
            if other != run.name:
                raise ValueError(
                    f"runs {other} and {run.name} have the same method ({run.method}), seed "
                    f"({run.seed}) and config; remove one of them"
                )
            named.append(dataclasses.replace(run, variant=variant))
    return named


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return dotted key -> leaf of a nested configuration."""
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _setting(run: Run) -> dict[str, Any]:
    return {
        "benchmark": run.benchmark,
        "axes": list(run.axes),
        "data_fingerprint": run.data_fingerprint,
        "protocol": run.protocol,
    }


def _options(run: Run, layout: Layout) -> dict[str, Any]:
    return flatten(conditions(run.manifest, layout.own_keys), "manifest.")


def _conditions(run: Run) -> dict[str, Any]:
    """Return all that an evaluation was made under, also what may differ within a table."""
    return flatten(conditions(run.manifest), "manifest.")


def _differences(found: dict[str, Any], expected: dict[str, Any]) -> str:
    keys = [
        key
        for key in dict.fromkeys([*expected, *found])
        if found.get(key, _MISSING) != expected.get(key, _MISSING)
    ]
    named = [
        f"{key} is {found.get(key, _MISSING)!r}, theirs is {expected.get(key, _MISSING)!r}"
        for key in keys[:_SHOWN]
    ]
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return "; ".join(named) + more
