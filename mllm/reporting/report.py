"""Writes the report of a sweep: results.json, HTML, Markdown, CSV, LaTeX and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mllm.benchmarks import get_benchmark
from mllm.files import replacing, write_text
from mllm.reporting import exports, html
from mllm.reporting.collect import SCHEMA, Run, Sweep, collect
from mllm.reporting.finding import finding, headline_reason
from mllm.reporting.tables import compare


def write_report(
    workdir: str | Path, *, portraits: Mapping[str, bytes] | None = None
) -> dict[str, Path]:
    """Writes the report of every run below `workdir` into `workdir` and returns its files.

    The keys of the result are results, html, markdown, csv, latex and figures (a folder). The
    portraits of the gallery (profile ID -> encoded image) come from the benchmark that the runs'
    config names, unless they are given; `portraits={}` leaves them out. The same runs give the
    same bytes. Raises FileNotFoundError where there is no run, and ValueError naming the runs
    where they may not stand in one table.
    """
    workdir = Path(workdir)
    sweep = collect(workdir)
    benchmark, note = find_benchmark(sweep)
    if portraits is None:
        portraits = read_portraits(benchmark)
    else:
        note = ""
    terms = benchmark.info if benchmark else {}
    comparisons = compare(sweep.runs)
    reason = headline_reason(comparisons[0]) if comparisons else ""
    paths = {
        "results": workdir / "results.json",
        "html": workdir / "report.html",
        "markdown": workdir / "report.md",
        "csv": workdir / "report.csv",
        "latex": workdir / "report.tex",
        "figures": workdir / "figures",
    }
    contents = {
        "results": json.dumps(merge_results(sweep), indent=1, allow_nan=False) + "\n",
        "html": html.render(sweep, portraits, note, terms),
        "markdown": exports.to_markdown(
            comparisons, sweep, map(finding, comparisons), reason, html.licence_lines(terms)
        ),
        "csv": exports.to_csv(sweep),
        "latex": exports.to_latex(comparisons),
    }
    figures = html.saved_figures(sweep)
    paths["figures"].mkdir(exist_ok=True)
    for name, data in figures.items():
        with replacing(paths["figures"] / name) as temporary:
            temporary.write_bytes(data)
    for name, text in contents.items():
        write_text(paths[name], text)
    return paths


def merge_results(sweep: Sweep) -> dict[str, Any]:
    """Returns the results.json of a sweep: the scores of every finished run, unchanged, under each
    protocol by which it was evaluated.
    """
    return {
        "schema": SCHEMA,
        "benchmark": sweep.runs[0].benchmark if sweep.runs else "unknown",
        "runs": [
            {
                "method": run.method,
                "seed": run.seed,
                "forget": run.forget,
                "checkpoint_digest": run.checkpoint_digest,
                "protocol": run.protocol,
                "scores": list(run.scores),
                "cost": run.cost,
            }
            for run in (*sweep.runs, *sweep.others)
        ],
        "environment": _shared_environment(sweep.runs),
    }


def _shared_environment(runs: tuple[Run, ...]) -> dict[str, Any]:
    """Returns the environment of the runs; where they differ, the list of what was found."""
    merged: dict[str, Any] = {}
    for key in sorted({key for run in runs for key in run.environment}):
        found = [run.environment.get(key) for run in runs]
        distinct = [value for place, value in enumerate(found) if value not in found[:place]]
        merged[key] = distinct[0] if len(distinct) == 1 else distinct
    return merged


def find_benchmark(sweep: Sweep) -> tuple[Any, str]:
    """Returns (the benchmark that the runs used, "") or (None, why the page has no portraits).

    A report does not fail for want of pictures: a data set that is not on this machine, or is
    not the one that the runs used, is said in a sentence.
    """
    if not sweep.runs:
        return None, ""
    named = sweep.runs[0].config.get("benchmark")
    try:
        benchmark = get_benchmark(named["name"]).Benchmark.open(named["data_dir"], named["config"])
    except (KeyError, TypeError, ValueError, OSError, ImportError):
        return None, "No portraits: the data set that these runs used was not found."
    if benchmark.fingerprint != sweep.runs[0].data_fingerprint:
        return None, "No portraits: the data set on this machine is not the one of these runs."
    return benchmark, ""


def read_portraits(benchmark: Any) -> dict[str, bytes]:
    """Returns profile ID -> encoded image of the profiles that may be shown."""
    profiles = benchmark.profiles("full") if benchmark else ()
    return {profile.id: profile.images[0] for profile in profiles if profile.images}
