"""Where the small model keeps up with the large one, and where it does not."""

from collections.abc import Iterable

from mllm.benchmarks.scale.gap import ALPHA, MARGIN, Gap
from mllm.benchmarks.scale.report.capabilities import GENERAL, general_capabilities
from mllm.benchmarks.scale.report.layout import in_order, label
from mllm.benchmarks.scale.report.study import Study
from mllm.benchmarks.scale.taxonomy import FORMATS, SUITES
from mllm.reporting.charts import Bar, Intervals, intervals_figure
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.heatmap import heat_map
from mllm.reporting.layout import Style
from mllm.reporting.numbers import points, signed
from mllm.reporting.section import Block, Details, Drawing, Grid, Panel, Paragraph, Section

STYLES = {
    "comparable": Style("#009E73"),
    "lagging": Style("#D55E00"),
    "leading": Style("#0072B2"),
    "undecided": Style("muted"),
}
_RULE = (
    "Differences are paired item by item, in points; their 95% intervals are bootstrapped over "
    "items. McNemar's exact test compares right and wrong answers; Holm's correction is for all "
    "rows of a table but “All items”, which is a test by itself. The small model lags "
    f"or leads where the interval excludes 0 and the corrected p-value is at most {ALPHA:g}; it is "
    f"comparable where the whole interval lies within {100 * MARGIN:g} points of 0. Everything "
    "else is undecided: there are too few items to say."
)
_FIGURE = (
    "Left: difference of the two scores with its 95% interval; the shaded band is the margin "
    "within which two models are comparable. Orange: the small model lags; blue: it leads; green: "
    "comparable; open grey marks: undecided. Right: difference in each cell of the general suite, "
    "in points. Blue: the large model scores higher; orange: the small one does. Cells without a "
    "word are undecided."
)
HEADS = ("Items", "Large", "Small", "Difference", "95% interval", "McNemar p", "Holm p", "Small is")


def gap_section(study: Study) -> Section:
    """Return the differences by capability and by cell, or why there are none."""
    title = "The gap between the large and the small model"
    if study.large is None:
        refused = Paragraph(f"A large and a small model are not compared: {study.refusal}.")
        return Section("gap", title, (refused,), "Gap")
    large, small = study.large.label, study.small.label
    seeds = " Of several seeds the first is compared." if study.comparison.seeds > 1 else ""
    intro = Paragraph(
        f"Compared item by item: {_sized(study.large)} with {_sized(study.small)}.{seeds}"
    )
    figure = Panel(
        lambda theme: gap_figure(study, theme),
        f"Difference of {large} and {small} by capability, with intervals",
    )
    cells = Panel(
        lambda theme: cells_figure(study, theme), f"Difference of {large} and {small} in each cell"
    )
    capabilities = [(_place_name(place), gap) for place, gap in capability_gaps(study)]
    rows = [("All items", study.overall), *capabilities]
    by_cell = [(_cell_name(cell), gap) for cell, gap in cell_gaps(study)]
    blocks: tuple[Block, ...] = (
        intro,
        Drawing((figure, cells), _FIGURE, saved={"gap": figure.draw, "gap_cells": cells.draw}),
        gap_grid("Difference by capability", "Capability", rows),
        Paragraph(_RULE, note=True),
        Details(
            f"Difference in each of {len(by_cell)} cells",
            (gap_grid("Difference by cell", "Cell", by_cell),),
        ),
    )
    return Section("gap", title, blocks, "Gap")


def _sized(subject) -> str:
    return subject.label + (f" ({size(subject.parameters)})" if subject.parameters else "")


def size(parameters: float) -> str:
    """Return a number of parameters as a reader writes it."""
    for scale, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= scale:
            return f"{parameters / scale:.3g} {unit} parameters"
    return f"{parameters:.0f} parameters"


def capability_gaps(study: Study) -> list[tuple[tuple[str, str], Gap]]:
    """Return ((suite, capability), difference) in the order of the tables."""
    found = study.by_capability
    suites = in_order("suite", (suite for suite, _ in found))
    return [
        ((suite, name), found[suite, name])
        for suite in suites
        for name in in_order("capability", (c for s, c in found if s == suite))
    ]


def cell_gaps(study: Study) -> list[tuple[tuple[str, str, str], Gap]]:
    """Return (cell, difference) in the order of the tables."""
    found = study.by_cell

    def order(cell):
        suite, form, capability = cell
        names = in_order("capability", (one[2] for one in found))
        known = SUITES.index(suite) if suite in SUITES else len(SUITES)
        return known, suite, names.index(capability), FORMATS.index(form)

    return [(cell, found[cell]) for cell in sorted(found, key=order)]


def _place_name(place: tuple[str, str]) -> str:
    suite, capability = place
    name = label("capability", capability)
    return name if suite == GENERAL else f"{label('suite', suite)}: {name.lower()}"


def _cell_name(cell: tuple[str, str, str]) -> str:
    suite, form, capability = cell
    return f"{_place_name((suite, capability))}, {form}"


def gap_grid(title: str, corner: str, rows: Iterable[tuple[str, Gap]]) -> Grid:
    """Return differences as a table of texts."""
    made = tuple(
        (
            name,
            str(gap.n),
            points(gap.large),
            points(gap.small),
            signed(gap.difference),
            f"{signed(gap.low)} to {signed(gap.high)}" if gap.n else "–",
            p_text(gap.p_value),
            p_text(gap.corrected),
            gap.verdict,
        )
        for name, gap in rows
    )
    return Grid(title, (corner, *HEADS), made, words=(len(HEADS),))


def p_text(value: float) -> str:
    """Return a p-value with three digits."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def gap_figure(study: Study, theme: Theme = LIGHT):
    """Draw the differences with their intervals, one row per capability."""
    rows = [("All items", study.overall)]
    rows += [(_place_name(place), gap) for place, gap in capability_gaps(study)]
    bars = tuple(
        Bar(
            row,
            tuple(100 * end for end in (gap.difference, gap.low, gap.high)),
            STYLES[gap.verdict],
            filled=gap.verdict != "undecided",
        )
        for row, (_, gap) in enumerate(rows)
        if gap.n
    )
    title = f"{study.large.label} − {study.small.label}"
    panel = Intervals(title, bars, band=(-100 * MARGIN, 100 * MARGIN))
    return intervals_figure([name for name, _ in rows], [panel], "difference (points)", theme)


def cells_figure(study: Study, theme: Theme = LIGHT):
    """Draw the differences in the cells of the general suite: capabilities by formats."""
    rows = general_capabilities(study)
    found = [[study.by_cell.get((GENERAL, form, name)) for form in FORMATS] for name in rows]
    values = [[100 * gap.difference if gap and gap.n else None for gap in row] for row in found]
    notes = [
        ["" if gap is None or gap.verdict == "undecided" else gap.verdict for gap in row]
        for row in found
    ]
    reach = max([20.0, *(abs(value) for row in values for value in row if value is not None)])
    return heat_map(
        values,
        [label("capability", name) for name in rows],
        [name.capitalize() for name in FORMATS],
        theme,
        title=f"{study.large.label} − {study.small.label}",
        low=-reach,
        high=reach,
        centre=0.0,
        notes=notes,
    )
