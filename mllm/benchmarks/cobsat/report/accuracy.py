"""Tables of accuracy by task, by type of prompt and by side, with the published rows."""

from collections.abc import Mapping, Sequence

from mllm.benchmarks.cobsat.report.layout import CHANCE, label
from mllm.benchmarks.cobsat.report.published import ALIGNED, ALIGNED_SHOTS, NOTE, SIDES, published
from mllm.benchmarks.cobsat.report.study import DEFAULT, Study, Subject
from mllm.benchmarks.cobsat.scores import ALL, METRICS
from mllm.reporting.comparison import Entry
from mllm.reporting.section import Block, Details, Heading, Paragraph, Scores, Section
from mllm.reporting.standard import seed_rule
from mllm.reporting.tables import Column, Row, Table

_SAME_AS_ORACLE = ("view", "reconstructed")  # in text mode these answer with the caption too
_INFERS = {"-I": "Infers the object", "-II": "Infers the detail"}
_RULE = (
    "Percentages of prompts; the small numbers are 95% intervals, of Wilson where every prompt is "
    "of another sample, else by resampling samples. An output that is missing or cannot be read is "
    "wrong. Overall: detail and object both right; chance is 1%. Textual: the side that the words "
    "give; visual: θ, the side that the pictures share."
)


def accuracy_section(study: Study) -> Section:
    """Return the tables of a comparison."""
    blocks: list[Block] = []
    folded: list[Block] = []
    for mode in study.modes:
        blocks.append(Heading(label("mode", mode)))
        made = [task_table(study, mode, DEFAULT, shots) for shots in study.shots]
        made += [prompt_table(study, mode, shots) for shots in study.shots]
        made += [side_table(study, mode)]
        blocks += [Scores(one) for one in made if one.measured]
        folded += [
            Scores(one)
            for prompt in study.prompts
            if prompt != DEFAULT
            for shots in study.shots
            if (one := task_table(study, mode, prompt, shots)).measured
        ]
    if not blocks:
        blocks.append(Paragraph("Nothing is scored yet."))
    notes = [_RULE, NOTE if study.as_published else "", seed_rule(study.comparison)]
    blocks.append(Paragraph(" ".join(filter(None, notes)), note=True))
    if folded:
        blocks.append(Details("Accuracy by task in the other types of prompts", tuple(folded)))
    return Section("accuracy", "Accuracy by task, shots and prompt", tuple(blocks), "Accuracy")


def task_table(study: Study, mode: str, prompt: str, shots: str) -> Table:
    """Return overall accuracy: rows by tasks."""
    tasks = [ALL, *study.tasks]
    known = published(mode, prompt, shots) if study.as_published else {}
    references = {
        model: tuple(
            Entry(cells.get(task) if task != ALL or study.whole else None) for task in tasks
        )
        for model, cells in known.items()
    }
    places = [{"task": task, "prompt": prompt, "shots": shots, "mode": mode} for task in tasks]
    title = f"{label('mode', mode)}, {label('prompt', prompt).lower()} prompts, "
    title += f"{label('shots', shots)}: overall accuracy by task"
    labels = study.comparison.layout.axis("task")
    columns = [
        Column((_INFERS.get(task[task.find("-") :], ""), labels.label(task)),
               (_INFERS.get(task[task.find("-") :], ""), labels.label(task, short=True)))
        for task in tasks
    ]  # fmt: skip
    return _table(study, mode, title, columns, [(METRICS[0], place) for place in places],
                  references)  # fmt: skip


def prompt_table(study: Study, mode: str, shots: str) -> Table:
    """Return overall accuracy over all tasks: rows by types of prompts."""
    columns = [
        Column((label("prompt", prompt),), (label("prompt", prompt),)) for prompt in study.prompts
    ]
    cells = [
        (METRICS[0], {"prompt": prompt, "shots": shots, "mode": mode}) for prompt in study.prompts
    ]
    references: dict[str, tuple[Entry, ...]] = {}
    if study.as_published and study.whole:
        known = [published(mode, prompt, shots) for prompt in study.prompts]
        for model in dict.fromkeys(model for one in known for model in one):
            references[model] = tuple(Entry(one.get(model, {}).get(ALL)) for one in known)
    title = f"{label('mode', mode)}, all tasks, {label('shots', shots)}: overall accuracy by prompt"
    return _table(study, mode, title, columns, cells, references)


def side_table(study: Study, mode: str) -> Table:
    """Return accuracy of each side, default prompts over all tasks: rows by shots and metrics."""
    pairs = [(shots, metric) for shots in study.shots for metric in METRICS]
    columns = [
        Column((label("shots", shots), metric.capitalize()), (shots, metric.capitalize()))
        for shots, metric in pairs
    ]
    references = {}
    if study.as_published and study.whole and ALIGNED_SHOTS in study.shots:
        for model, (textual, visual) in ALIGNED[mode].items():
            object, detail = SIDES[mode].get(model, (None, None))
            overall = published(mode, DEFAULT, ALIGNED_SHOTS)[model][ALL]
            known = {
                "overall": overall, "detail": detail, "object": object, "textual": textual,
                "visual": visual,
            }  # fmt: skip
            references[model] = tuple(
                Entry(known[metric] if shots == ALIGNED_SHOTS else None) for shots, metric in pairs
            )
    title = f"{label('mode', mode)}, default prompts, all tasks: accuracy of each side"
    cells = [(metric, {"shots": shots, "mode": mode}) for shots, metric in pairs]
    return _table(study, mode, title, columns, cells, references)


def _table(
    study: Study,
    mode: str,
    title: str,
    columns: Sequence[Column],
    cells: Sequence[tuple[str, Mapping[str, str]]],
    references: Mapping[str, tuple[Entry, ...]],
) -> Table:
    """Return a table of rows with one entry for each (metric, place) of `cells`."""
    rows = [Row("Chance", "chance", "", tuple(Entry(CHANCE[metric]) for metric, _ in cells))]
    for one in study.subjects:
        if mode == "text" and one.key[0] in _SAME_AS_ORACLE:
            continue
        row = _row(study, one, cells)
        rows += [row] if row.measured else []
    rows += [
        Row(f"{model}, published", "reference", "", entries)
        for model, entries in references.items()
        if any(entry.value is not None for entry in entries)
    ]
    comparison = study.comparison
    return Table(title, METRICS[0], "Method", tuple(columns), tuple(rows), comparison.heading)


def _row(study: Study, one: Subject, cells: Sequence[tuple[str, Mapping[str, str]]]) -> Row:
    entries = tuple(study.entry(one, metric, **place) for metric, place in cells)
    seeds = len(study.comparison.runs[one.key])
    note = f"{seeds} seeds" if seeds > 1 else ""
    return Row(one.label, study.comparison.layout.kind(one.key[0]), note, entries, one.key)
