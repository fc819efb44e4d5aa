"""Prompts with their pictures and what models answered; and the true pictures, drawn again."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from mllm.benchmarks.cobsat.report.kinds import KINDS, RIGHT, kind_of, misleading_words
from mllm.benchmarks.cobsat.report.layout import label
from mllm.benchmarks.cobsat.report.study import DEFAULT, Record, Study, Subject
from mllm.benchmarks.cobsat.tasks import THEMES, display
from mllm.reporting.pictures import thumbnail
from mllm.reporting.section import Answer, Card, Gallery, Paragraph, Sample, Section
from mllm.reporting.text import clean_text, slug

_SIDE, _SMALL = 96, 72  # pixels of a thumbnail
_TEXT_LIMIT, _LOOP_LIMIT = 240, 80
_GOLDEN = 0.6180339887498949  # multiples of it are spread evenly over [0, 1)
_PAIRS = 5  # pictures of each theme that are shown next to their reconstructions
_RULE = (
    "For each task one default prompt that the {} answers right and one that it does not, where "
    "there are any: such prompts stand in the order of their list, and one is taken at a place "
    "that moves from task to task, so that the choice looks at nothing but right and wrong. Below "
    "a picture stands its word; gold is the true answer. {}"
)
_WITHOUT = "The data set is not on this machine, so only drawings are shown."
_JUDGED = "Below a drawing stands what the judge sees in it."
_T = TypeVar("_T")

Picked = tuple[str, Record]  # title, a record of the drawer that stands for a prompt


def gallery_section(study: Study) -> Section | None:
    """Return the gallery; None where no model was asked."""
    if study.drawer is None or not study.shots:
        return None
    records = {
        (one.key, mode): {_place(record): record for record in one.asked(mode=mode)}
        for one in study.models
        for mode in study.modes
    }
    cards = []
    for at, task in enumerate(study.tasks):
        samples = [
            _sample(study, records, title, record) for title, record in picked(study, task, at)
        ]
        if samples:
            cards.append(Card(slug("card", task), task, _asks(study, task), tuple(samples)))
    if not cards:
        return None
    note = _RULE.format(study.drawer.label.lower(), _JUDGED if study.benchmark else _WITHOUT)
    blocks = (Paragraph(note, note=True), Gallery((*cards, *_types_cards(study, records))))
    return Section("gallery", "Prompts and answers", blocks, "Gallery")


def picked(study: Study, task: str, at: int) -> list[Picked]:
    """Return a right and a wrong answer of the drawer to a task, where there are any.

    Args:
      at: the place of the task among all; it decides which of the prompts is taken.
    """
    mode = next((mode for mode in study.modes if mode in study.drawer.modes), "")
    asked = study.drawer.asked(mode=mode, task=task, prompt=DEFAULT)
    found = []
    for title, right in (("Right", 1), ("Wrong", 0)):
        pool = [record for record in asked if record["metrics"]["overall"] == right]
        if pool:
            record = _spread(pool, at)
            found.append((f"{title} in {mode} mode, {label('shots', record['shots'])}", record))
    return found


def _spread(pool: Sequence[_T], at: int) -> _T:
    return pool[int((at + 0.5) * _GOLDEN % 1 * len(pool))]


def _place(record: Record) -> tuple:
    return record["task"], record["shots"], record["number"], record["prompt"]


def _asks(study: Study, task: str) -> str:
    record = next(iter(study.drawer.asked(task=task)))
    return f"the words give the {record['x']}, the pictures share the {record['theta']}"


def _sample(study: Study, records, title: str, record: Record) -> Sample:
    """Return a prompt with the answers of all models in all modes."""
    answers = [
        _answer(study, one, f"{one.label}, {mode}", records[one.key, mode].get(_place(record)))
        for one in study.models
        for mode in study.modes
        if records[one.key, mode]
    ]
    uris, captions = _shots(study, record)
    words = " ".join(f"{display(word)}: [picture]" for word in record["inputs"][:-1])
    question = f"{display(record['inputs'][-1])}: ?"
    return Sample(
        id=slug("sample", record["task"], record["shots"], record["number"], title),
        title=f"{title} · {clean_text(record['sample'], 80)}",
        question=question if uris else f"{words} {question}",
        gold=_pair_text(record["truth"]),
        answers=tuple(answers),
        pictures=uris,
        captions=captions,
        gold_picture=_true_picture(study, record) or "",
    )


def _shots(study: Study, record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (data URIs of the shots, their words); none without the data set."""
    if study.benchmark is None:
        return (), ()
    side = _SIDE if len(record["shown"]) <= 4 else _SMALL
    uris = [thumbnail(study.benchmark.picture(*pair), side) for pair in record["shown"]]
    if None in uris:
        return (), ()
    return tuple(uris), tuple(f"{display(word)}:" for word in record["inputs"][:-1])


def _true_picture(study: Study, record: Record) -> str | None:
    if study.benchmark is None:
        return None
    truth = record["truth"]
    picture = study.benchmark.picture(record["theme"], truth["detail"], truth["object"])
    return thumbnail(picture, _SIDE)


def _answer(study: Study, one: Subject, name: str, record: Record | None) -> Answer:
    if record is None:
        return Answer(name, "", "not asked")
    kind = kind_of(record, misleading_words(record, study.data))
    state = "valid" if kind == RIGHT else KINDS[kind]
    picture = one.picture(record)
    uri = thumbnail(picture.data, _SIDE) if picture is not None else None
    return Answer(name, _said(record), state, kind == RIGHT, uri or "")


def _said(record: Record) -> str:
    """Return the description, or in image mode what the judge sees."""
    if record["mode"] == "text":
        return clean_text(record["text"] or "", _TEXT_LIMIT)
    found = record["judged"].get(record["rule"])
    return "" if found is None else f"judge: {_pair_text(found)}"


def _pair_text(pair: Mapping[str, str | None]) -> str:
    return " ".join(
        "?" if pair[side] is None else display(pair[side]) for side in ("detail", "object")
    )


def _types_cards(study: Study, records) -> list[Card]:
    """Return a card with one sample of the drawer in every type of prompt, once for each mode."""
    drawer, samples = study.drawer, []
    if len(study.prompts) < 2:
        return []
    for mode in study.modes:
        found = records[drawer.key, mode]
        by_sample: dict[tuple, list[Record]] = {}
        for place, record in found.items():
            by_sample.setdefault(place[:3], []).append(record)
        whole = [rows for rows in by_sample.values() if len(rows) == len(study.prompts)]
        if not whole:
            continue
        rows = {record["prompt"]: record for record in _spread(whole, 1)}
        first = rows[DEFAULT]
        answers = [
            _answer(study, drawer, label("prompt", prompt), rows[prompt])
            for prompt in study.prompts
        ]
        uris, captions = _shots(study, first)
        sample = Sample(
            id=slug("types", mode),
            title=f"{label('mode', mode)} · {first['task']} · {clean_text(first['sample'], 80)}",
            question=_words_of(study, rows),
            gold=_pair_text(first["truth"]),
            answers=tuple(answers),
            pictures=uris,
            captions=captions,
            gold_picture=_true_picture(study, first) or "",
        )
        samples.append(sample)
    title = "One sample in every type of prompt"
    return [Card("card-types", title, drawer.label, tuple(samples))] if samples else []


def _words_of(study: Study, rows: Mapping[str, Record]) -> str:
    """Return the query, the misleading words and the analysis of a sample."""
    query = display(next(iter(rows.values()))["inputs"][-1])
    parts = [f"{query}: ?"]
    if "misleading" in rows:
        wrong = misleading_words(rows["misleading"], study.data)
        if wrong:
            parts.append(f"Misleading words: {', '.join(map(display, wrong))}.")
    if "cot" in rows and rows["cot"].get("analysis"):
        parts.append(f"Analysis: {clean_text(rows['cot']['analysis'], _TEXT_LIMIT)}")
    return " ".join(parts)


def reconstructions(study: Study) -> tuple[Card, ...]:
    """Return a card for each theme: true pictures, each next to what its codes draw."""
    subject = study.subject("reconstructed")
    if subject is None or study.benchmark is None:
        return ()
    cards = []
    for theme in THEMES:
        known = {
            _shown_pair(record): record
            for record in subject.records
            if record["theme"] == theme and record.get("picture")
        }
        pairs = sorted(known)
        chosen = [
            pairs[(2 * k + 1) * len(pairs) // (2 * _PAIRS)] for k in range(min(_PAIRS, len(pairs)))
        ]
        uris, captions = [], []
        for pair in dict.fromkeys(chosen):
            drawn = subject.picture(known[pair])
            both = (
                thumbnail(study.benchmark.picture(theme, *pair), _SIDE),
                thumbnail(drawn.data, _SIDE) if drawn else None,
            )
            if None not in both:
                uris += both
                captions += [" ".join(map(display, pair)), "from its codes"]
        if uris:
            sample = Sample(
                slug("codes", theme), "True picture, then what its codes draw", "", "", (),
                tuple(uris), tuple(captions),
            )  # fmt: skip
            title = f"What the codes keep: {theme}"
            cards.append(Card(slug("card-codes", theme), title, "", (sample,)))
    return tuple(cards)


def _shown_pair(record: Record) -> tuple[str, str]:
    return record["truth"]["detail"], record["truth"]["object"]
