"""The same questions answered by option text, by letter, in all orders, and in words."""

from mllm.benchmarks.photo.prompts import LETTERS, place_of
from mllm.benchmarks.photo.report.layout import HEADLINE, label
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.files import read_jsonl
from mllm.reporting.comparison import Entry
from mllm.reporting.numbers import points
from mllm.reporting.section import Block, Details, Grid, Paragraph, Scores, Section
from mllm.reporting.tables import Column, Row, Table

_RULE = (
    "Option text: the text with the highest log-probability per token; the prompt does not list "
    "the options. Letter: the letter with the highest log-probability, options listed. All four "
    "orders: right only if the letter is right in each cyclic order of the options. Generated: a "
    "letter read from the reply by a strict rule; a reply without one is wrong. The readings by "
    "letter are of the questions of fewer photographs, as the heads of the columns say."
)
_ORDERS = (
    "Same option: the share of questions for which the same option is chosen in all four orders; "
    "what is then wrong is not the letter. The letters are those chosen over all orders, in "
    "percent; each is right equally often."
)


def reading_section(study: Study) -> Section | None:
    """Return accuracy by reading; None where there is one reading alone."""
    readings = [name for name in study.readings if name != "critique"]
    if len(readings) < 2:
        return None
    table = reading_table(study, readings)
    blocks: list[Block] = [Scores(table), Paragraph(_RULE, note=True)]
    grid = order_grid(study)
    if grid is not None:
        blocks += [grid, Paragraph(_ORDERS, note=True)]
    blocks.append(
        Details("Readings with the shares of valid, refused and invalid replies",
                (Scores(table, rates=True),))
    )  # fmt: skip
    return Section("readings", "How answers are read", tuple(blocks), "Readings")


def reading_table(study: Study, readings: list[str]) -> Table:
    """Return accuracy over all topics: rows by methods, columns by readings."""
    cells = [study.cell(reading=reading) for reading in readings]
    layout = study.comparison.layout
    rows = [Row("Chance", "chance", "", tuple(Entry(layout.chance(cell)) for cell in cells))]
    for one in study.subjects:
        entries = tuple(study.comparison.entry(one.key, cell) for cell in cells)
        seeds = f"{len(one.runs)} seeds" if len(one.runs) > 1 else ""
        rows.append(Row(one.label, layout.kind(one.key[0]), seeds, entries, one.key))
    rows = [row for row in rows if row.measured]
    columns = []
    for place, reading in enumerate(readings):
        asked = max((row.entries[place].n or 0 for row in rows), default=0)
        name = label("reading", reading)
        columns.append(Column((f"{name} ({asked:,.0f})",), (name,)))
    title = "Accuracy by reading (number of questions)"
    return Table(title, HEADLINE, "Method", tuple(columns), tuple(rows), study.comparison.heading)


def order_grid(study: Study) -> Grid | None:
    """Return how much the letter depends on the order of the options; None where one order was
    asked.
    """
    rows = [(one.label, *found) for one in study.models if (found := _orders(one))]
    heads = ("Model", "Same option", *LETTERS)
    return Grid("The order of the options", heads, tuple(rows)) if rows else None


def _orders(one: Subject) -> tuple[str, ...] | None:
    chosen = [
        record["chosen"]
        for run in one.runs
        for record in read_jsonl(run.records_path)
        if record["reading"] == "rotation" and record["metrics"]
    ]
    if not chosen:
        return None
    same = sum(None not in one and len(set(one)) == 1 for one in chosen)
    letters = [
        LETTERS[place_of(option, turn)]
        for one in chosen
        for turn, option in enumerate(one)
        if option is not None
    ]
    shares = (points(letters.count(letter) / max(len(letters), 1)) for letter in LETTERS)
    return (points(same / len(chosen)), *shares)
