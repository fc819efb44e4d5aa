"""What critiques say of a photograph's record, and what they would say of any other's."""

from collections.abc import Sequence

from mllm.benchmarks.photo.report.layout import METRIC_NAMES, label, metric_name
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.reporting import paired
from mllm.reporting.numbers import signed, signed_span
from mllm.reporting.section import Block, Details, Grid, Paragraph, Scores, Section
from mllm.reporting.standard import seed_rule
from mllm.reporting.tables import Column, Row, Table

READING = "critique"
METRICS = ("coverage", "rouge_l", "embedding")
_OWN, _WRONG = "own photo", "wrong photo"
_RULE = (
    "One critique of each photograph, in three parts: description, weaknesses and advice. Topics "
    "covered: the share of the record's topics of which some sentence says what was done, by its "
    "words. ROUGE-L and the similarity of embeddings compare with the critique that the record "
    "gives. “Wrong photo” judges the same critique by the record of a photograph of another "
    "source: what it scores there needs no look at the photograph. {}"
)
_GAIN = (
    "Own less wrong, critique by critique, in points; intervals resample sources. A metric "
    "whose difference is small rewards style."
)


def critique_section(study: Study) -> Section | None:
    """Return the scores of critiques; None where none was asked for."""
    table = critique_table(study)
    if not table.measured:
        return None
    rule = _RULE.format(seed_rule(study.comparison)).strip()
    blocks: list[Block] = [Scores(table), Paragraph(rule, note=True)]
    if (grid := gain_grid(study)) is not None:
        blocks += [grid, Paragraph(_GAIN, note=True)]
    by_topic = topic_table(study)
    if by_topic.measured:
        blocks.append(Details("Topics covered, by topic", (Scores(by_topic),)))
    return Section("critiques", "Critiques", tuple(blocks))


def pairs_of(study: Study) -> list[str]:
    """Return the metrics that critiques were scored by."""
    known = {cell[-1] for cell in study.comparison.cells if cell[2] == READING}
    return [metric for metric in METRICS if metric in known]


def critique_table(study: Study) -> Table:
    """Return every metric by a photograph's own record and by that of another."""
    columns, cells = [], []
    for metric in pairs_of(study):
        name = METRIC_NAMES[metric]
        for suffix, words in (("", _OWN), ("_wrong", _WRONG)):
            columns.append(Column((name[:1].upper() + name[1:], words), (name, words)))
            cells.append(study.cell(f"{metric}{suffix}", reading=READING))
    rows = [_row(study, one, cells) for one in study.subjects]
    rows = [row for row in rows if row.measured]
    count = max((entry.n for row in rows for entry in row.entries if entry.n), default=0)
    heading = study.comparison.heading
    title = f"Critiques (photographs: {count:,.0f})"
    return Table(title, "coverage", "Method", tuple(columns), tuple(rows), heading)


def _row(study: Study, one: Subject, cells: Sequence[tuple[str, ...]]) -> Row:
    entries = tuple(study.comparison.entry(one.key, cell) for cell in cells)
    seeds = f"{len(one.runs)} seeds" if len(one.runs) > 1 else ""
    return Row(one.label, study.comparison.layout.kind(one.key[0]), seeds, entries, one.key)


def gain_grid(study: Study) -> Grid | None:
    """Return how much better critiques fit their own photograph's record than another's."""
    metrics, rows = pairs_of(study), []
    for one in study.subjects:
        cells = [gain(study, one, metric) for metric in metrics]
        if any(cell != "–" for cell in cells):
            rows.append((one.label, *cells))
    heads = ("Method", *(metric_name(metric)[:1].upper() + metric_name(metric)[1:]
                         for metric in metrics))  # fmt: skip
    return Grid("Own photo less wrong photo", heads, tuple(rows)) if rows else None


def gain(study: Study, one: Subject, metric: str) -> str:
    """Return the difference of a metric by the own and by a wrong record, as text."""
    own, wrong = (
        study.comparison.answers(one.key, study.cell(name, reading=READING))
        for name in (metric, f"{metric}_wrong")
    )
    if not own or not wrong or own.keys() != wrong.keys():
        return "–"
    found = paired.difference(own, wrong)
    if not paired.enough(own):
        return signed(found.difference)
    return f"{signed(found.difference)} ({signed_span(found.low, found.high)})"


def topic_table(study: Study) -> Table:
    """Return how often each topic of a record is covered, own and wrong, by method."""
    subjects = [
        one
        for one in study.subjects
        if study.entry(one, "coverage", reading=READING).value is not None
    ]
    columns = [Column((one.label, words), (one.label, words))
               for one in subjects for words in (_OWN, _WRONG)]  # fmt: skip
    rows = []
    for topic in study.topics:
        entries = tuple(
            study.entry(one, f"coverage{suffix}", topic=topic, reading=READING)
            for one in subjects
            for suffix in ("", "_wrong")
        )
        rows.append(Row(label("topic", topic), "axis", "", entries))
    rows = tuple(row for row in rows if row.measured)
    return Table("Topics covered, by topic", "coverage", "Topic", tuple(columns), rows)
