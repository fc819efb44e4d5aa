"""Which runs may stand in one table, and how runs of one method are told apart."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

from mllm.reporting.layout import Layout
from mllm.reporting.runs import Problem, Run

# Keys that differ between runs of one configuration and say nothing about the method.
_PLACE_KEYS = frozenset({"seed", "workdir", "data_dir", "checkpoint", "parent", "name", "variant"})
_MISSING = "nothing"
_SHOWN = 3  # differences that a reason names


def leave_out_unlike(runs: list[Run], layout: Layout) -> tuple[list[Run], list[Problem]]:
    """Return (the runs that may stand in one table, why each other run is left out).

    Runs are alike when benchmark, axes, data, protocol and the manifest of their evaluation agree,
    except for the manifest's keys in `layout.own_keys`. Of several kinds the most frequent one
    stays; of equally frequent ones that whose first method comes first in the tables.
    """
    kinds: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        kinds[repr(sorted(_conditions(run, layout).items()))].append(run)
    if len(kinds) < 2:
        return runs, []
    kept = min(
        kinds.values(), key=lambda kind: (-len(kind), min(layout.order(run.method) for run in kind))
    )
    expected = _conditions(kept[0], layout)
    problems = []
    for kind in kinds.values():
        if kind is kept:
            continue
        found = _conditions(kind[0], layout)
        reason = _differences(found, expected)
        others = f"{kept[0].name} and {len(kept) - 1} others" if len(kept) > 1 else kept[0].name
        problems += [
            Problem(
                run.name,
                run.method,
                f"left out because it was evaluated under other conditions than {others}: {reason};"
                " evaluate it again under theirs, or report it in a folder of its own",
            )
            for run in kind
        ]
    return kept, problems


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


def _conditions(run: Run, layout: Layout) -> dict[str, Any]:
    manifest = {key: value for key, value in run.manifest.items() if key not in layout.own_keys}
    return {
        "benchmark": run.benchmark,
        "axes": list(run.axes),
        "data_fingerprint": run.data_fingerprint,
        "protocol": run.protocol,
        **flatten(manifest, "manifest."),
    }


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
