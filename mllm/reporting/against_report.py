"""Write the comparison of two studies: HTML, Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mllm.files import write_text
from mllm.reporting import exports, html
from mllm.reporting.against import (
    FIRST,
    SECOND,
    Pairing,
    changed_settings,
    difference_tables,
    read_studies,
)
from mllm.reporting.collect import Sweep
from mllm.reporting.families import RULE
from mllm.reporting.report import Report
from mllm.reporting.section import (
    Block,
    Details,
    Heading,
    Listing,
    Paragraph,
    Preformatted,
    Scores,
    Section,
)
from mllm.reporting.standard import conditions_of, group_id, pretty
from mllm.reporting.tables import Table, headline_tables
from mllm.reporting.terminal import tables_text
from mllm.reporting.text import clean_text, guard_csv, join_words, slug

_TABLES = (
    f"Differences {SECOND} − {FIRST}, in points; the small numbers are 95% intervals, bold marks "
    "differences that count. "
)
_MEMBERS = "rows and columns of all tables of differences"
_SETTINGS = 60  # that the page lists


def write_comparison(
    workdir: str | Path, against: str | Path, report: Report
) -> tuple[dict[str, Path], str]:
    """Write how the runs below ``against`` differ from those below ``workdir``, into ``workdir``.

    Returns:
      The files, by html, markdown, csv and latex; and the differences as text for a terminal.

    Raises:
      FileNotFoundError: a folder has no run.
      ValueError: the two cannot be compared, see ``against.read_studies``.
    """
    first, second, pairings = read_studies(workdir, against, report.layout)
    tables = [table for pairing in pairings for table in difference_tables(pairing)]
    lead = [_lead(pairing) for pairing in pairings]
    sections = [_group_section(pairing, len(pairings) > 1) for pairing in pairings]
    sections.append(_settings_section(first, second))
    names = [clean_text(sweep.workdir.resolve().name, 60) for sweep in (first, second)]
    title = f"{report.layout.title}: {names[1]} against {names[0]}"
    facts = [*_studies(first, second), *html.facts_of(first)[:1]]
    contents = {
        "html": html.render(title, facts, lead, _problems(first, second), sections),
        "markdown": exports.to_markdown(title, lead, sections),
        "csv": to_csv(pairings),
        "latex": exports.to_latex(sections),
    }
    stem = f"against_{slug(second.workdir.resolve().name)}"
    endings = {"html": "html", "markdown": "md", "csv": "csv", "latex": "tex"}
    paths = {kind: Path(workdir) / f"{stem}.{ending}" for kind, ending in endings.items()}
    for kind, text in contents.items():
        write_text(paths[kind], text)
    return paths, tables_text(tables, lead)


def _lead(pairing: Pairing) -> str:
    """Return how many rows both studies have, and which of them differ."""
    comparison = pairing.comparison
    clear = {key for (key, _), apart in pairing.tested.items() if apart.clear}
    changed = [key for key in pairing.pairs if key in clear]
    where = f"{comparison.heading}: " if comparison.heading else ""
    count = len(pairing.pairs)
    rows = f"{where}both studies have {count} row{'s' * (count > 1)}."
    rows = rows[:1].upper() + rows[1:]
    if not pairing.tested:
        return f"{rows} Their replies cannot be paired, so nothing is said about chance."
    if not changed:
        return f"{rows} None differs distinguishably in a headline score."
    names = join_words([comparison.layout.label(*key) for key in changed])
    return f"{rows} {names} differ{'s' * (len(changed) == 1)} distinguishably in a headline score."


def _studies(first: Sweep, second: Sweep) -> list[tuple[str, str]]:
    """Return the folder, the seeds and the commit of each study."""
    found = []
    for name, sweep in ((FIRST, first), (SECOND, second)):
        seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in sweep.runs}))
        commits = {str(run.environment.get("git", "unknown"))[:10] for run in sweep.runs}
        folder = sweep.workdir.resolve().name
        shown = f"{folder}; seeds {seeds}; commit {', '.join(sorted(commits))}"
        found.append((f"Study {name}", clean_text(shown, 200)))
    return found


def _group_section(pairing: Pairing, several: bool) -> Section:
    comparison = pairing.comparison
    rule = _TABLES + RULE.format(clusters=comparison.layout.clusters, members=_MEMBERS)
    blocks: list[Block] = [Scores(table) for table in difference_tables(pairing)]
    blocks.append(Paragraph(rule, note=True))
    if pairing.alone:
        blocks += [Heading("Rows that only one study has"), Listing(_alone(pairing))]
    scores = tuple(Scores(table) for table in headline_tables(comparison))
    blocks.append(Details("The scores of both", scores))
    shared = (Preformatted(pretty(conditions_of(comparison))),)
    blocks.append(Details("What both were evaluated under", shared))
    heading = comparison.heading if several else ""
    title = f"Differences: {heading[:1].lower()}{heading[1:]}" if heading else "Differences"
    return Section(group_id(comparison), title, tuple(blocks))


def _alone(pairing: Pairing) -> tuple[tuple[str, str], ...]:
    layout = pairing.comparison.layout
    return tuple((layout.label(*key), f"only in {name}") for key, name in pairing.alone)


def _settings_section(first: Sweep, second: Sweep) -> Section:
    found = changed_settings(first, second)
    items = tuple(
        (
            clean_text(key, 80),
            f"{FIRST}: {clean_text(ours, 80)}; {SECOND}: {clean_text(theirs, 80)}",
        )
        for key, (ours, theirs) in list(found.items())[:_SETTINGS]
    )
    if not items:
        text = "The configurations of the rows that both have are equal, but for places and seeds."
        return Section("settings", "Settings that differ", (Paragraph(text),))
    more = len(found) - len(items)
    rest = (Paragraph(f"{more} more are not listed.", note=True),) if more else ()
    return Section("settings", "Settings that differ", (Listing(items), *rest))


def _problems(first: Sweep, second: Sweep) -> list[str]:
    """Return a sentence for each study with runs that stand in no table."""
    return [
        f"Study {name} has {len(sweep.problems)} runs that are in no table: "
        + clean_text(", ".join(problem.name for problem in sweep.problems), 400)
        + ". Its own report says why."
        for name, sweep in ((FIRST, first), (SECOND, second))
        if sweep.problems
    ]


def to_csv(pairings: Sequence[Pairing]) -> str:
    """Return every headline difference, one per line, in fractions of 1."""
    layout = pairings[0].comparison.layout
    group = [layout.group.key] if layout.group else []
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["method", "variant", *group, *layout.axis_names, "metric", "first", "second",
         "difference", "ci95_low", "ci95_high", "p_value", "corrected_p_value"]
    )  # fmt: skip
    for pairing in pairings:
        for table in headline_tables(pairing.comparison):
            writer.writerows(_csv_rows(pairing, table))
    return buffer.getvalue()


def _csv_rows(pairing: Pairing, table: Table) -> list[list]:
    comparison, rows = pairing.comparison, []
    group = [comparison.group] if comparison.layout.group else []
    for cell in table.cells:
        for key, (first, second) in pairing.pairs.items():
            found = comparison.difference(second, first, cell)
            if found is None:
                continue
            scores = [comparison.entry(one, cell).value for one in (first, second)]
            one = pairing.tested.get((key, cell))
            values = ["", ""] if one is None else [one.p_value, one.corrected]
            texts = map(guard_csv, (*key, *group, *cell))
            rows.append([*texts, *scores, *found[:3], *values])
    return rows
