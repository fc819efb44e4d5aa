"""How many questions each model gets right, by topic, sub-topic and attribute."""

from collections import defaultdict
from collections.abc import Sequence

from mllm.benchmarks.photo.report.layout import CHANCE, CONTROLS, LEGEND, LEGEND_OF_SINGLE, label
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.benchmarks.photo.scores import ALL
from mllm.benchmarks.photo.taxonomy import TOPICS, UNKEYED
from mllm.files import read_jsonl
from mllm.reporting.numbers import points
from mllm.reporting.section import Block, Details, Grid, Listing, Paragraph, Scores, Section
from mllm.reporting.standard import seed_rule
from mllm.reporting.tables import Column, Row, Table
from mllm.reporting.text import clean_text

_RULE = (
    "Percentages of questions; the small numbers are 95% intervals over sources. The answer is "
    "the option whose text has the highest log-probability per token; chance is {}%. {}"
)
_UNASKED = "Topics and sub-topics are those of the published benchmark; these are not asked here."
_ATTRIBUTES = (
    "An attribute is what a question asks about. Answers of all seeds are counted. Each value is "
    "right equally often, so the same answer to all questions about an attribute scores about 25%."
)


def topic_section(study: Study) -> Section:
    """Return the table of topics; sub-topics and attributes are folded away."""
    models = [*study.models]
    by_topic = topic_table(study, models)
    if not by_topic.measured:
        blocks: list[Block] = [Paragraph("Nothing is scored yet.")]
        return Section("topics", "Accuracy by topic", tuple(blocks), "Topics")
    rule = _RULE.format(points(CHANCE), study.comparison.layout.marking.rule)
    notes = (rule, seed_rule(study.comparison))
    blocks = [
        Scores(by_topic),
        Paragraph(" ".join(filter(None, notes)), note=True),
        Listing(legend(study, models)),
        Details("Accuracy by sub-topic", (Scores(subtopic_table(study, models)),)),
    ]
    if (grid := attribute_grid(study, models)) is not None:
        shown = (grid, Paragraph(_ATTRIBUTES, note=True))
        blocks.append(Details("Accuracy by attribute", shown))
    if missing := unasked(study):
        shown = (Paragraph(_UNASKED, note=True), Listing(missing))
        blocks.append(Details("Sub-topics without questions", shown))
    return Section("topics", "Accuracy by topic", tuple(blocks), "Topics")


def unasked(study: Study) -> tuple[tuple[str, str], ...]:
    """Return the sub-topics of the published tree that no question here is about, and why where it
    is known.
    """
    asked = {(topic, name) for topic in study.topics for name in study.subtopics(topic)}
    reasons = {} if study.imported else UNKEYED
    return tuple(
        (f"{topic}: {name}", reasons.get((topic, name), "no question in this split"))
        for topic, names in TOPICS.items()
        for name in names
        if (topic, name) not in asked
    )


def legend(study: Study, subjects: Sequence[Subject]) -> tuple[tuple[str, str], ...]:
    """Return what each row is, in words; rows without words are left out."""
    found = []
    for one in subjects:
        words = LEGEND.get(one.key[0]) or (LEGEND_OF_SINGLE if one.encoder else "")
        if words:
            found.append((one.label, words))
    return tuple(found)


def topic_table(study: Study, subjects: Sequence[Subject]) -> Table:
    """Return accuracy: rows by topics, columns by methods."""
    places = [{"topic": topic} for topic in (ALL, *study.topics)]
    names = [label("topic", place["topic"]) for place in places]
    return places_table(study, subjects, "Accuracy by topic and model", "Topic", names, places)


def subtopic_table(study: Study, subjects: Sequence[Subject]) -> Table:
    """Return accuracy: rows by sub-topics, columns by methods."""
    places = [
        {"topic": topic, "subtopic": name}
        for topic in study.topics
        for name in study.subtopics(topic)
    ]
    names = [f"{label('topic', p['topic'])}: {label('subtopic', p['subtopic'])}" for p in places]
    return places_table(study, subjects, "Accuracy by sub-topic", "Sub-topic", names, places)


def places_table(
    study: Study,
    subjects: Sequence[Subject],
    title: str,
    corner: str,
    names: Sequence[str],
    places: Sequence[dict[str, str]],
) -> Table:
    """Return accuracy with a row for each of ``places``, values of axes, that has scores."""
    rows = []
    for name, place in zip(names, places, strict=True):
        cell = study.cell(**place)
        entries = tuple(study.comparison.marked_entry(one.key, cell) for one in subjects)
        asked = max((entry.n or 0 for entry in entries), default=0)
        if asked:
            count = f"{asked:,.0f} question{'s' if asked > 1 else ''}"
            rows.append(Row(name, "axis", count, entries))
    columns = tuple(Column((one.label,), (one.label,)) for one in subjects)
    comparison = study.comparison
    return Table(
        title, "accuracy", corner, columns, tuple(rows), comparison.heading,
        comparison.layout.marking.rule,
    )  # fmt: skip


def attribute_grid(study: Study, subjects: Sequence[Subject]) -> Grid | None:
    """Return accuracy by attribute; None where records name none."""
    values = {one.key: _by_attribute(one) for one in subjects}
    names = sorted({name for found in values.values() for name in found})
    if not names:
        return None
    rows = []
    for name in names:
        asked = [values[one.key].get(name, []) for one in subjects]
        shares = [points(sum(one) / len(one)) if one else "–" for one in asked]
        count = max(map(len, asked))
        rows.append((clean_text(name.replace("_", " "), 60), f"{count:,}", *shares))
    heads = ("Attribute", "Answers", *(one.label for one in subjects))
    return Grid("Accuracy by attribute", heads, tuple(rows))


def _by_attribute(one: Subject) -> dict[str, list[float]]:
    found = defaultdict(list)
    for run in one.runs:
        for record in read_jsonl(run.records_path):
            asked = record["reading"] == "text" and record["attribute"]
            if asked and "accuracy" in record["metrics"]:
                found[record["attribute"]].append(record["metrics"]["accuracy"])
    return found


def shown_controls(study: Study) -> list[Subject]:
    """Return the fused model and its controls, in the order of the tables."""
    return [one for one in (study.fused, *map(study.subject, CONTROLS)) if one is not None]
