"""Read a sweep folder: every `run.json` below it, with its scores and replies."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

from mllm.evaluation.ledger import LEDGER
from mllm.files import read_json
from mllm.reporting.comparable import main_protocol, name_variants, sort_out
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Layout
from mllm.reporting.runs import Problem, Run, make_run, read_record, read_results


@dataclasses.dataclass(frozen=True)
class Sweep:
    """All that was found below a folder.

    Attributes:
      runs: in the order of the tables.
      problems: runs that cannot be in the tables.
      weights: finished runs that the layout lets stand without scores.
      others: evaluations under further protocols or options, which stand in tables of their own.
      made_with_it: whether runs were made with the protocol of the tables.
      tuned: how many runs were made while tuning; they stand in no table.
    """

    workdir: Path
    layout: Layout
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]
    weights: tuple[Run, ...] = ()
    others: tuple[Run, ...] = ()
    made_with_it: bool = True
    tuned: int = 0

    @functools.cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Return one comparison for each group; runs without a group belong to all of them."""
        found = {run.group for run in self.runs if run.group is not None}
        groups = sorted(found, key=lambda group: (isinstance(group, str), group))
        return tuple(
            Comparison(
                self.layout,
                group,
                (run for run in self.runs if run.group in (group, None)),
                under=self.unusual_protocol,
            )
            for group in groups or [None] * bool(self.runs)
        )

    @property
    def unusual_protocol(self) -> str:
        """Return the protocol of the tables if the runs were made with another one, or ""."""
        return "" if not self.runs or self.made_with_it else self.runs[0].protocol

    @functools.cached_property
    def further(self) -> tuple[Comparison, ...]:
        """Return one comparison for each protocol and group of the other evaluations."""
        kinds: dict[tuple, list[Run]] = {}
        for run in self.others:
            kinds.setdefault((run.protocol, run.group), []).append(run)
        return tuple(
            Comparison(self.layout, group, name_variants(runs), under=protocol)
            for (protocol, group), runs in kinds.items()
        )

    @property
    def folders(self) -> list[Run]:
        """Return one run for each folder: some runs are evaluated for several groups."""
        runs = (*self.weights, *self.runs)
        return list({run.name: run for run in reversed(runs)}.values())[::-1]


def collect(workdir: str | Path, layout: Layout | None = None) -> Sweep:
    """Read every run below `workdir`.

    Unfinished, unevaluated and unreadable runs become problems, and so do runs that were evaluated
    under other conditions than the rest: they never stand in one table. Runs that were made while
    tuning stand in none.

    Raises:
      FileNotFoundError: there is no run.json.
      ValueError: two runs differ in nothing that could name them, or all were made while tuning.
    """
    workdir, layout = Path(workdir), layout or Layout()
    records, found, problems, tuned = {}, [], [], 0
    for path in find_records(workdir):
        name = path.parent.relative_to(workdir).as_posix()
        method = "unknown"
        try:
            method = str(read_json(path).get("method", method))
            record = read_record(path)
        except (ValueError, OSError) as error:
            problems.append(Problem(name, method, str(error)))
            continue
        if record["config"].get("tuning", False):
            tuned += 1
            continue
        records[name] = record
        for results in sorted(path.parent.glob("eval/*/results.json")):
            try:
                runs, broken = read_results(path.parent, name, records[name], results, layout)
            except (ValueError, OSError) as error:
                runs, broken = [], [Problem(name, method, str(error))]
            found += runs
            problems += broken
    if tuned and not records:
        raise ValueError(
            f"{workdir}: all {tuned} finished runs below it were made with config.tuning, and no "
            f"table of reported data is made of them; {LEDGER} of a sweep lists its trials, and "
            "experiments.evaluate prints the scores of one run"
        )
    protocol = main_protocol(found, records)
    sorted_out = sort_out(found, layout, protocol)
    weights = []
    known = {problem.name for problem in problems} | {run.name for run in found}
    for name, record in records.items():
        if name in known:
            continue
        if record["method"] in layout.unevaluated:
            weights.append(make_run(workdir / name, name, record, layout))
        else:
            missing = f"eval/{protocol or record['protocol']}/results.json"
            reason = f"not evaluated: {missing} is missing; run experiments.evaluate on this run"
            problems.append(Problem(name, record["method"], reason))
    runs, others = sorted_out.runs, sorted_out.others
    if (runs or others) and not layout.axes:
        layout = layout.with_axes((*runs, *others)[0].axes)
    runs = name_variants(runs)
    for kind in (runs, others):
        kind.sort(key=lambda run: _place(run, layout))
    problems.sort(key=lambda problem: problem.name)
    # Unevaluated weights have no benchmark and stand in no table, so nothing above is about them.
    return Sweep(
        workdir,
        layout,
        tuple(runs),
        (*problems, *sorted_out.problems),
        tuple(weights),
        tuple(others),
        made_with_it=any(record["protocol"] == protocol for record in records.values()),
        tuned=tuned,
    )


def find_records(workdir: str | Path) -> list[Path]:
    """Return the path of every run's run.json below a folder, sorted; also where evaluations are
    there and it is missing.

    Links to folders are followed. A run that is reached in several ways is returned once, under its
    own path if that lies below the folder.

    Raises:
      FileNotFoundError: there is none.
    """
    found, seen, later = [], set(), [str(workdir)]
    while later:
        for folder, children, files in os.walk(later.pop(0)):
            real = os.path.realpath(folder)
            children[:] = sorted(child for child in children if not child.startswith("."))
            if real in seen:
                children.clear()
                continue
            seen.add(real)
            paths = (os.path.join(folder, child) for child in children)
            later += [path for path in paths if os.path.islink(path)]
            if "run.json" in files or "eval" in children:
                found.append(Path(folder) / "run.json")
    if not found:
        raise FileNotFoundError(
            f"{workdir}: found no run.json below this folder, expected one in each run's folder; "
            "run experiments.sweep first, or name its --workdir"
        )
    return sorted(found)


def benchmark_name(workdir: str | Path) -> str:
    """Return the name of the benchmark that the runs below a folder used.

    Raises:
      FileNotFoundError: there is no run.json.
      ValueError: no run.json names a benchmark in its config.
    """
    paths = find_records(workdir)
    for path in paths:
        try:
            name = _named(read_json(path))
        except (ValueError, FileNotFoundError):
            continue
        if name:
            return name
    raise ValueError(
        f"{paths[0]}: key config.benchmark.name is missing, expected the name of a benchmark"
    )


def _named(record: dict[str, Any]) -> str | None:
    config = record.get("config")
    benchmark = config.get("benchmark") if isinstance(config, dict) else None
    name = benchmark.get("name") if isinstance(benchmark, dict) else None
    return name if isinstance(name, str) else None


def _place(run: Run, layout: Layout) -> tuple:
    group = (isinstance(run.group, str), run.group or 0)
    return layout.order(run.method), run.variant, group, run.seed
