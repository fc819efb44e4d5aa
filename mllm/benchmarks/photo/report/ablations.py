"""What becomes of the fused model when an encoder or a part of the fusion is taken away."""

from mllm.benchmarks.photo.report.contrasts import OTHERS, topic_map
from mllm.benchmarks.photo.report.layout import FUSED, variant_of
from mllm.benchmarks.photo.report.study import Study, Subject
from mllm.reporting.numbers import said, signed, signed_span
from mllm.reporting.section import Block, Drawing, Grid, Panel, Paragraph, Section
from mllm.reporting.text import clean_text

_RULE = (
    "Each row is a model of its own, taught and asked with one thing changed. Differences are from "
    "{}, paired by question, in points; intervals resample sources."
)
_MAP = (
    "Accuracy less that of {} by topic, in points; orange: the topic loses by the change. An "
    "asterisk: the 95% interval excludes 0. That an encoder of semantics matters for topics of "
    "meaning, and a dense one for local detail, is a hypothesis of the published figure; this is "
    "how it stands here."
)
_WORDS = {
    "gate_text": "Gate by the question alone",
    "gate_vision": "Gate by the picture alone",
    "gate_uniform": "All encoders weighed alike",
    "bank_off": "The same queries for every question",
    "encoder_residual": "Residual from the encoders",
}
# What a number in the name of a variant counts.
_COUNTED = {"layers": ("layer", "layers"), "bank": ("query set", "query sets")}


def ablation_section(study: Study) -> Section | None:
    """Return the ablations; None where none was run."""
    found = ablations(study)
    if not found:
        return None
    mine = study.fused
    rows = [(mine.label, _parameters(mine), said(study.entry(mine)), "–", "–", "–", "–")]
    rows += [_row(study, one) for one in found]
    heads = (
        "Changed",
        "Parameters",
        "Accuracy",
        "Difference",
        "95% interval",
        "By seed",
        "Verdict",
    )
    blocks: list[Block] = [
        Grid("Ablations", heads, tuple(rows), words=(6,)),
        Paragraph(_RULE.format(mine.label), note=True),
    ]
    if study.topics:
        panel = Panel(
            lambda theme: topic_map(study, {changed(o): (o, mine) for o in found}, theme),
            f"Accuracy of each ablation less that of {mine.label}, by topic",
        )
        caption = _MAP.format(mine.label)
        columns = 3 if len(found) < 3 else 1
        blocks.append(Drawing((panel,), caption, columns, saved={"ablations": panel.draw}))
    return Section("ablations", "What each part is worth", tuple(blocks), "Ablations")


def ablations(study: Study) -> list[Subject]:
    """Return the rows that change one thing of the fused model: other gates, then variants."""
    known = {FUSED, *OTHERS, *(one.key[0] for one in study.singles)}
    rows = [one for one in study.models if one.key[0] not in known]
    rows += [one for one in study.ablations if one.key[0] == FUSED]
    return [one for one in rows if study.compare(one, study.fused) is not None]


def changed(one: Subject) -> str:
    """Return in words what a row changes."""
    name = variant_of(one.run) or one.key[0]
    if name in _WORDS:
        return _WORDS[name]
    what, _, rest = name.partition("_")
    if what in ("no", "without") and rest:
        words = f"without {rest}"
    elif rest.isdigit():
        one, several = _COUNTED.get(what, (what, what))
        words = f"{rest} {one if rest == '1' else several}"
    else:
        words = name
    words = clean_text(words.replace("_", " "), 60)
    return words[:1].upper() + words[1:]


def _row(study: Study, one: Subject) -> tuple[str, ...]:
    found = study.compare(one, study.fused)
    return (
        changed(one),
        _parameters(one),
        said(study.entry(one)),
        signed(found.difference),
        signed_span(found.low, found.high),
        found.seeds,
        found.verdict,
    )


def _parameters(one: Subject) -> str:
    count = one.run.cost.get("parameters")
    return "–" if count is None else f"{count:,}"
