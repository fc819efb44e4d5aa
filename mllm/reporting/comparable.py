"""Which runs may stand in one table, and how runs of one method are named."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from mllm.reporting.layout import Layout
from mllm.reporting.runs import Problem, Run

# Keys that differ between runs of one configuration and say nothing about the method.
_PLACE_KEYS = frozenset({"seed", "workdir", "data_dir", "checkpoint", "parent", "name", "variant"})
_MISSING = "nothing"
_SHOWN = 3  # differences that a reason names


def leave_out_unlike(runs: list[Run], layout: Layout) -> tuple[list[Run], list[Problem]]:
    """Return (the runs that may stand in one table, why each other run is left out).

    All runs must agree in benchmark, axes, data and protocol; those of one group also in the
    manifest of their evaluation, except for its keys in `layout.own_keys`. Of several kinds the
    most frequent one stays; of equally frequent ones that whose first method comes first in the
    tables.
    """
    problems = _split(runs, layout, _setting)
    runs = _without(runs, problems)
    groups = {run.group: None for run in runs if run.group is not None}
    for group in groups or [None]:
        members = [run for run in runs if run.group in (group, None)]
        found = _split(members, layout, lambda run: _options(run, layout))
        runs = _without(runs, found)
        problems |= found
    return runs, list(problems.values())


def _without(runs: list[Run], problems: dict[tuple, Problem]) -> list[Run]:
    return [run for run in runs if (run.name, run.group) not in problems]


def _split(
    runs: list[Run], layout: Layout, conditions: Callable[[Run], dict[str, Any]]
) -> dict[tuple, Problem]:
    """Return (name, group) -> problem of the runs that are not of the kind that stays."""
    kinds: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        kinds[repr(sorted(conditions(run).items()))].append(run)
    if len(kinds) < 2:
        return {}
    kept = min(
        kinds.values(), key=lambda kind: (-len(kind), min(layout.order(run.method) for run in kind))
    )
    expected = conditions(kept[0])
    more = len(kept) - 1
    others = kept[0].name + (f" and {more} other{'s' if more > 1 else ''}" if more else "")
    return {
        (run.name, run.group): Problem(
            run.name,
            run.method,
            f"left out because it was evaluated under other conditions than {others}: "
            f"{_differences(conditions(run), expected)}; evaluate it again under theirs, or report "
            "it in a folder of its own",
        )
        for kind in kinds.values()
        if kind is not kept
        for run in kind
    }


def name_variants(runs: list[Run]) -> list[Run]:
    """Return the runs with variants: the settings in which runs of one method and seed differ.

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
        keys = sorted(
            key
            for key in set().union(*configs)
            if key.rsplit(".", 1)[-1] not in _PLACE_KEYS
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
    manifest = {key: value for key, value in run.manifest.items() if key not in layout.own_keys}
    return flatten(manifest, "manifest.")


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
