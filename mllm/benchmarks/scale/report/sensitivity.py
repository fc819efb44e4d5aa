"""How far scores depend on the wording of a question and on the order of its options."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from mllm.benchmarks.scale.item import LETTERS
from mllm.benchmarks.scale.report.layout import in_order, label
from mllm.benchmarks.scale.report.study import Study, Subject
from mllm.benchmarks.scale.score import ALL, Record, headline, parsed
from mllm.benchmarks.scale.scorers import RIGHT
from mllm.reporting.section import Block, Details, Grid, Heading, Paragraph, Section

FEWEST = 3  # wordings of which a spread is reported
_SPREAD = (
    "Mean score over the wordings ± their standard deviation (of the sample), in percent. "
    "“Same answer” is the share of items that get one and the same answer in every "
    "wording; “right in all” and “right in some” are shares of all items."
)
_POSITIONS = (
    "The letter that a model names, in percent of the choices with {count} options that it was "
    "asked by letter, over all wordings; every wording has its own order of the options. "
    "“Right” is where the right option stood. A model that prefers a position names it "
    "more often than that."
)


def sensitivity_section(study: Study) -> Section:
    """Return the spread of scores over wordings, and which option letters models name."""
    blocks: list[Block] = []
    rows = [row for one in study.models if (row := _spread_row(study, one))]
    if rows:
        heads = ("Model", "Wordings", "Score", "Same answer", "Right in all", "Right in some")
        blocks += [
            Heading("Wordings"),
            Grid("Spread over wordings", heads, tuple(rows)),
            Paragraph(_SPREAD, note=True),
        ]
        blocks.append(
            Details("Spread over wordings by capability", (_capability_grid(study, rows),))
        )
    else:
        blocks.append(
            Paragraph(f"No model was asked in at least {FEWEST} wordings: no spread is reported.")
        )
    blocks += _positions(study)
    return Section("sensitivity", "How much the wording matters", tuple(blocks), "Wordings")


def wordings(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Return item -> its record in each wording, for the items that have all of them."""
    variants = {record["variant"] for record in records}
    found = defaultdict(list)
    for record in sorted(records, key=lambda record: record["variant"]):
        found[record["item"]].append(record)
    return {item: rows for item, rows in found.items() if len(rows) == len(variants)}


def _scored(study: Study, subject: Subject) -> Sequence[Record]:
    return parsed(subject.records) if study.by_reply else headline(subject.records)


def _spread_row(study: Study, subject: Subject) -> tuple[str, ...] | None:
    found = wordings(_scored(study, subject))
    count = len({record["variant"] for record in subject.records})
    if count < FEWEST or not found:
        return None
    same = sum(_one_answer(rows) for rows in found.values())
    right = [[(record["value"] or 0) >= RIGHT for record in rows] for rows in found.values()]
    return (
        subject.label,
        str(count),
        spread(study, subject, {"suite": ALL, "format": ALL, "capability": ALL}),
        *(
            f"{100 * n / len(found):.1f}"
            for n in (same, sum(map(all, right)), sum(map(any, right)))
        ),
    )


def _one_answer(records: Sequence[Record]) -> bool:
    answers = {record["parsed"] for record in records}
    return len(answers) == 1 and answers != {None}


def spread(study: Study, subject: Subject, place: dict[str, str]) -> str:
    """Return "mean ± standard deviation" of a cell in percent, a dash for too few wordings."""
    comparison = study.comparison
    mean, deviation = (
        comparison.entry(subject.key, comparison.layout.make_cell(place, name))
        for name in ("wordings_mean", "wordings_sd")
    )
    if mean.value is None or deviation.value is None or mean.n < FEWEST:
        return "–"
    return f"{100 * mean.value:.1f} ± {100 * deviation.value:.1f}"


def _capability_grid(study: Study, rows: Sequence[tuple[str, ...]]) -> Grid:
    layout = study.comparison.layout
    models = [one for one in study.models if one.label in {row[0] for row in rows}]
    at = {name: layout.axis_names.index(name) for name in ("suite", "capability")}
    places = {(cell[at["suite"]], cell[at["capability"]]) for cell in study.comparison.cells}
    made = []
    for suite in in_order("suite", (s for s, _ in places if s != ALL)):
        for capability in in_order("capability", (c for s, c in places if s == suite)):
            place = {"suite": suite, "format": ALL, "capability": capability}
            name = f"{label('suite', suite)}: {label('capability', capability).lower()}"
            made.append((name, *(spread(study, one, place) for one in models)))
    heads = ("Capability", *(one.label for one in models))
    return Grid("Spread over wordings by capability", heads, tuple(made))


def _positions(study: Study) -> list[Block]:
    asked = {one.label: _by_letter(one) for one in study.models}
    sizes = Counter(len(r["options"]) for records in asked.values() for r in records)
    if not sizes:
        return []
    count = max(sizes, key=lambda size: (sizes[size], size))
    letters = LETTERS[:count]
    rows, gold = [], {}
    for name, records in asked.items():
        chosen = [record for record in records if len(record["options"]) == count]
        if not chosen:
            continue
        named = Counter(_letter(record, record["parsed"]) for record in chosen)
        gold = Counter(record["answers"][0] for record in chosen)
        rows.append((name, *_shares(named, letters, len(chosen)), _percent(named[""], len(chosen))))
        total = len(chosen)
    rows.append(("Right", *_shares(gold, letters, total), "–"))
    return [
        Heading("Order of the options"),
        Grid("Letters that models name", ("Model", *letters, "None"), tuple(rows)),
        Paragraph(_POSITIONS.format(count=count), note=True),
    ]


def _by_letter(subject: Subject) -> list[Record]:
    return [r for r in subject.records if r["form"] == "letter" and r["state"] != "error"]


def _letter(record: Record, text: str | None) -> str:
    options = list(record["options"])
    return LETTERS[options.index(text)] if text in options else ""


def _shares(counts: Counter, letters: str, total: int) -> tuple[str, ...]:
    return tuple(_percent(counts[letter], total) for letter in letters)


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}"
