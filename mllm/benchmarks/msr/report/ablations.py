"""What becomes of the recommender when a part is taken away or changed."""

from collections.abc import Mapping
from typing import Any

from mllm.benchmarks.msr.report.blocks import block_drawing
from mllm.benchmarks.msr.report.layout import HEADLINE, NAMES
from mllm.benchmarks.msr.report.published import ABLATION_NOTE, ABLATIONS, CANDIDATES, DATA
from mllm.benchmarks.msr.report.study import Study, Subject
from mllm.reporting.comparison import Entry
from mllm.reporting.numbers import said, signed, signed_span
from mllm.reporting.section import Block, Grid, Paragraph, Scores, Section
from mllm.reporting.tables import Column, Row, Table
from mllm.reporting.text import clean_text

METRICS = (HEADLINE, "hr@5")
_RULE = (
    "Each row is a recommender of its own, taught and asked with one part changed. Differences are "
    "from the row above them that changes nothing, paired by user, in points; intervals resample "
    "users."
)
_FORMS = {
    "direct": "all items at once, no recurrence",
    "none": "no preference",
    "recurrent": "preference block by block",
}
_KINDS = {
    "picture": "summaries of pictures",
    "text": "summaries of titles",
    "fused": "summaries of pictures and titles",
    "template": "summaries by template",
}


def ablation_section(study: Study) -> Section | None:
    """Return the ablations; None where none was run."""
    found = [
        (base, one)
        for one in study.ablations
        if (base := study.subject(one.key[0])) is not None
    ]  # fmt: skip
    if not found:
        return None
    rows, seen = [], []
    for base, one in found:
        if base not in seen:
            seen.append(base)
            rows.append((base.label, *_scores(study, base), "–", "–"))
        rows.append((changes(one, base), *_scores(study, one), *_differences(study, base, one)))
    heads = ("Changed", *(NAMES[name] for name in METRICS), f"Difference in {NAMES[HEADLINE]}",
             "95% interval")  # fmt: skip
    blocks: list[Block] = [
        Grid("Ablations", heads, tuple(rows)),
        Paragraph(_RULE, note=True),
    ]
    if (curve := block_drawing(study)) is not None:
        blocks.append(curve)
    if study.candidates == CANDIDATES:
        blocks += [Scores(published_table(study, found)), Paragraph(ABLATION_NOTE, note=True)]
    return Section("ablations", "What each part is worth", tuple(blocks), "Ablations")


def published_table(study: Study, found: list[tuple[Subject, Subject]]) -> Table:
    """Return the AUC of our ablations, and of the published ones on their data sets."""
    columns = tuple(Column((name,), (name,)) for name in ("Ours", *DATA))
    missing = (Entry(None),) * len(DATA)
    base = found[0][0]
    rows = [Row(base.label, "method", "", (study.entry(base), *missing))]
    rows += [Row(changes(one, of), "method", "", (study.entry(one), *missing)) for of, one in found]
    rows += [
        Row(f"{name}, published", "reference", "", (Entry(None), *map(Entry, values)))
        for name, values in ABLATIONS.items()
    ]
    return Table(f"Ablations: {NAMES[HEADLINE]}", HEADLINE, "Changed", columns, tuple(rows))


def _scores(study: Study, one: Subject) -> tuple[str, ...]:
    return tuple(said(study.entry(one, name)) for name in METRICS)


def _differences(study: Study, base: Subject, one: Subject) -> tuple[str, str]:
    found = study.compare(one, base)
    if found is None:
        return "–", "–"
    return signed(found.difference), signed_span(found.low, found.high)


def changes(one: Subject, base: Subject) -> str:
    """Return in words what a run changes in what is read, or else its settings."""
    first, second = one.reading, base.reading
    words = []
    old, new = (_part(reading, "preferences") for reading in (second, first))
    if new.get("form") != old.get("form"):
        words.append(_FORMS.get(new.get("form"), clean_text(new.get("form"), 40)))
    if new.get("block") != old.get("block") and new.get("form") == "recurrent":
        words.append(f"blocks of {new.get('block')}")
    if new.get("writer") != old.get("writer"):
        words.append(f"preferences by {clean_text(new.get('writer'), 40)}")
    words += _shown(_part(first, "prompts"), _part(second, "prompts"))
    old, new = (_part(reading, "summaries") for reading in (second, first))
    if new.get("kind") != old.get("kind"):
        words.append(_KINDS.get(new.get("kind"), clean_text(new.get("kind"), 40)))
    text = "; ".join(words) or clean_text(one.label, 80)
    return text[:1].upper() + text[1:]


def _shown(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[str]:
    """Return what prompts no longer show, and what they show besides."""
    words = []
    for key, of in (("candidate", "of the candidate"), ("history", "of the history")):
        before, after = (set(prompts.get(key) or ()) for prompts in (old, new))
        words += [f"no {_plural(part, key)} {of}" for part in sorted(before - after)]
        words += [f"with {_plural(part, key)} {of}" for part in sorted(after - before)]
    if new.get("layout") != old.get("layout"):
        words.append("published layout" if new.get("layout") == "published" else "picture last")
    if new.get("compat") != old.get("compat"):
        words.append("published marks" if new.get("compat") else "no published marks")
    return words


def _plural(part: str, key: str) -> str:
    if key == "candidate":
        return part
    return {"summary": "summaries"}.get(part, f"{part}s")


def _part(reading: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = reading.get(name)
    return found if isinstance(found, Mapping) else {}
