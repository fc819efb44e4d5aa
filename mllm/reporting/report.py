"""Write the report of a sweep: results.json, HTML, Markdown, CSV, LaTeX and figures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mllm.evaluation.places import conditions
from mllm.files import replacing, write_text
from mllm.reporting import exports, html
from mllm.reporting.collect import Sweep, collect
from mllm.reporting.comparison import Comparison
from mllm.reporting.layout import Layout
from mllm.reporting.ledger import ledger_sections
from mllm.reporting.runs import SCHEMA, Run
from mllm.reporting.section import Section
from mllm.reporting.standard import (
    further_sections,
    problems_section,
    reproduce_section,
    scores_section,
)
from mllm.reporting.text import clean_text

NOT_FOUND = (
    "The data set that these runs used was not found on this machine: its pictures, licences and "
    "citation are left out."
)
UNREADABLE = (
    "The data set on this machine cannot be opened: its pictures, licences and citation are left "
    "out."
)
ANOTHER = (
    "The data set on this machine is not the one that these runs used: its pictures, licences and "
    "citation are left out."
)


def _scores_only(sweep: Sweep, benchmark: Any | None) -> list[Section]:
    return [scores_section(comparison) for comparison in sweep.comparisons]


@dataclasses.dataclass(frozen=True)
class Report:
    """What a benchmark gives for the report of its runs.

    Attributes:
      layout: names, order and roles of what is compared.
      sections: (sweep, the opened benchmark or None) -> the sections between the head of the page
        and how to reproduce it; by default the scores.
      finding: comparison -> what its numbers show, in a few sentences.
      finding_rule: how the finding is computed.
      open_benchmark: section `benchmark` of a run's config -> the opened benchmark, with
        `fingerprint` and `info`.
    """

    layout: Layout
    sections: Callable[[Sweep, Any | None], Sequence[Section]] = _scores_only
    finding: Callable[[Comparison], str] | None = None
    finding_rule: str = ""
    open_benchmark: Callable[[Mapping[str, Any]], Any] | None = None


def write_report(
    workdir: str | Path, report: Report, sweep: Sweep | None = None
) -> dict[str, Path]:
    """Write the report of every run below `workdir` into `workdir` and return its files.

    Args:
      sweep: what ``collect`` found there; None reads it.

    The keys of the result are results, html, markdown, csv, latex and figures (a folder). The same
    runs give the same bytes. A data set that is not on this machine is missing in the report, which
    says so.

    Raises:
      FileNotFoundError: there is no run.
    """
    workdir = Path(workdir)
    sweep = sweep or collect(workdir, report.layout)
    benchmark, note = find_benchmark(sweep, report)
    lead = _lead(sweep, report)
    problems = problems_section(sweep)
    sections = [
        *([problems] if problems else []),
        *report.sections(sweep, benchmark),
        *further_sections(sweep),
        *ledger_sections(sweep),
        reproduce_section(sweep, benchmark.info if benchmark else {}),
    ]
    title = f"{report.layout.title}: {clean_text(workdir.resolve().name, 60)}"
    paths = {
        "results": workdir / "results.json",
        "html": workdir / "report.html",
        "markdown": workdir / "report.md",
        "csv": workdir / "report.csv",
        "latex": workdir / "report.tex",
        "figures": workdir / "figures",
    }
    notes = list(filter(None, (report.finding_rule if sweep.runs else "", note)))
    contents = {
        "results": json.dumps(merge_results(sweep), indent=1, allow_nan=False) + "\n",
        "html": html.render(title, html.facts_of(sweep), lead, notes, sections),
        "markdown": exports.to_markdown(title, lead, sections),
        "csv": exports.to_csv(sweep),
        "latex": exports.to_latex(sections),
    }
    figures = html.saved_figures(sections)
    paths["figures"].mkdir(exist_ok=True)
    for name, data in figures.items():
        with replacing(paths["figures"] / name) as temporary:
            temporary.write_bytes(data)
    for name, text in contents.items():
        write_text(paths[name], text)
    return paths


def merge_results(sweep: Sweep) -> dict[str, Any]:
    """Return the results.json of a sweep: the scores of every run of its tables, unchanged, under
    each protocol by which it was evaluated.
    """
    return {
        "schema": SCHEMA,
        "benchmark": sweep.runs[0].benchmark if sweep.runs else "unknown",
        "axes": list(sweep.layout.axis_names),
        "runs": [_results_entry(run, sweep.layout) for run in (*sweep.runs, *sweep.others)],
        "environment": _shared_environment(sweep.runs),
    }


def _results_entry(run: Run, layout: Layout) -> dict[str, Any]:
    group = {layout.group.key: run.group} if layout.group else {}
    return {
        "method": run.method,
        "seed": run.seed,
        **group,
        "checkpoint_digest": run.checkpoint_digest,
        "protocol": run.protocol,
        "conditions": conditions(run.manifest, layout.own_keys),
        "scores": list(run.scores),
        "cost": run.cost,
    }


def _shared_environment(runs: tuple[Run, ...]) -> dict[str, Any]:
    """Return the environment of the runs; where they differ, the list of what was found."""
    merged: dict[str, Any] = {}
    for key in sorted({key for run in runs for key in run.environment}):
        found = [run.environment.get(key) for run in runs]
        distinct = [value for place, value in enumerate(found) if value not in found[:place]]
        merged[key] = distinct[0] if len(distinct) == 1 else distinct
    return merged


def find_benchmark(sweep: Sweep, report: Report) -> tuple[Any, str]:
    """Return (the benchmark that the runs used, "") or (None, why it is left out)."""
    if not sweep.runs or report.open_benchmark is None:
        return None, ""
    try:
        benchmark = report.open_benchmark(sweep.runs[0].config["benchmark"])
    except ValueError as error:  # it is there, but damaged or another one
        return None, f"{UNREADABLE} ({clean_text(str(error), 400)})"
    except (KeyError, TypeError, OSError, ImportError):
        return None, NOT_FOUND
    if benchmark.fingerprint != sweep.runs[0].data_fingerprint:
        return None, ANOTHER
    return benchmark, ""


def _lead(sweep: Sweep, report: Report) -> list[str]:
    if report.finding is None:
        return []
    several = len(sweep.comparisons) > 1
    return [
        f"{comparison.heading}. {finding}" if several and comparison.heading else finding
        for comparison in sweep.comparisons
        if (finding := report.finding(comparison))
    ]
