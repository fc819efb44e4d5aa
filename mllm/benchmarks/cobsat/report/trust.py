"""Whether the judge and the brackets score what they must: if not, no model is to blame."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence

from mllm.benchmarks.cobsat.report.layout import label
from mllm.benchmarks.cobsat.report.study import Record, Study, Subject
from mllm.benchmarks.cobsat.tasks import THEMES, display
from mllm.evaluation.statistics import wilson
from mllm.reporting.comparison import Entry
from mllm.reporting.figures import LIGHT, Theme
from mllm.reporting.heatmap import heat_map
from mllm.reporting.numbers import points, span
from mllm.reporting.section import Block, Details, Drawing, Grid, Heading, Panel, Paragraph, Section
from mllm.reporting.text import join_words

HIGH, RECONSTRUCTED, LOW = 0.95, 0.90, 0.05
JUDGED = ("oracle", "view", "reconstructed")  # what a judge with open eyes gets right
RULES = {
    "numbers": "likeliest number",
    "published": "reply, published rule",
    "strict": "reply, strict rule",
    "clip": "closest phrase (CLIP)",
    "clip_words": "closest bare word (CLIP)",
    "words": "exact words",
}
_SHOWN = 8  # confusions that a table lists
_RULE = (
    "Oracle answers with the true picture (in text mode its caption), unseen view with a view of "
    "it that nothing was taught on, reconstruction with the true picture as the tokeniser draws it "
    "from its codes: these measure the judge and the tokeniser, not a model. The other three are "
    "what an output can be without understanding. “Holds” compares the measured value, as it "
    "stands, with the bound. The columns are over default prompts with all numbers of shots; θ is "
    "what the pictures of a prompt share, textual accuracy is about the word of the query and "
    "visual accuracy about θ."
)
_NO_JUDGE = (
    "No judge was asked about drawings: image mode has no scores. Teach or name one and evaluate "
    "again; replies that are there are kept."
)
_RULES = (
    "The same outputs by each way of reading. The published rule joins all digits of the judge’s "
    "reply, so that “1 or 2” is 12 and wrong; the strict rule takes a reply that is one number."
)
_MAP = (
    "Of the different pictures that the judge was shown, those in which it finds both the detail "
    "and the object, in percent, by theme. Where a reconstruction is not recognised, neither is "
    "any drawing of the same codes."
)


@dataclasses.dataclass(frozen=True)
class Check:
    """What a bracket scores in one mode, and whether it is what it must score.

    Attributes:
      bounds: metric -> (the words of its bound, whether it is met).
    """

    subject: Subject
    mode: str
    entries: dict[str, Entry]
    bounds: dict[str, tuple[str, bool]]

    @property
    def holds(self) -> bool:
        """Return whether every bound is met."""
        return all(met for _, met in self.bounds.values())


def _at_least(bound: float) -> tuple[str, Callable[[Entry], bool]]:
    return f"≥ {100 * bound:.0f}", lambda entry: entry.value >= bound


def _at_most(bound: float) -> tuple[str, Callable[[Entry], bool]]:
    return f"≤ {100 * bound:.0f}", lambda entry: entry.value <= bound


def _contains(chance: float) -> tuple[str, Callable[[Entry], bool]]:
    def met(entry: Entry) -> bool:
        return entry.low is None or entry.low - 0.01 <= chance <= entry.high + 0.01

    return f"≈ {100 * chance:.0f}", met


BOUNDS = {
    "oracle": {"overall": _at_least(HIGH)},
    "view": {"overall": _at_least(HIGH)},
    "reconstructed": {"overall": _at_least(RECONSTRUCTED)},
    "random": {"overall": _contains(0.01)},
    "copy_last": {"overall": _at_most(LOW), "textual": _at_most(LOW), "visual": _at_least(HIGH)},
    "query_only": {"textual": _at_least(HIGH), "visual": _contains(0.1)},
}


def check_all(study: Study) -> list[Check]:
    """Return how each bracket stands that was run, by mode."""
    return [
        check
        for mode in study.modes
        for name in BOUNDS
        if (subject := study.subject(name)) and (check := _check(study, subject, mode))
    ]


def _check(study: Study, subject: Subject, mode: str) -> Check | None:
    if mode == "text" and subject.key[0] in ("view", "reconstructed"):
        return None  # the caption again, as the oracle's
    entries = {
        metric: study.entry(subject, metric, mode=mode)
        for metric in ("overall", "textual", "visual")
    }
    if any(entry.value is None for entry in entries.values()):
        return None
    bounds = {
        metric: (words, met(entries[metric]))
        for metric, (words, met) in BOUNDS[subject.key[0]].items()
    }
    return Check(subject, mode, entries, bounds)


def verdict(study: Study, checks: Sequence[Check]) -> str:
    """Return sentences that say whether scores can be trusted."""
    failing = [f"{check.subject.label} in {check.mode} mode" for check in checks if not check.holds]
    missing = [name for name in BOUNDS if study.subject(name) is None]
    parts = []
    if failing:
        parts.append(
            "Do not read the scores of models before this is mended, or with it in mind: "
            f"{join_words(failing)} {'does' if len(failing) == 1 else 'do'} not score what "
            f"{'it' if len(failing) == 1 else 'they'} must."
        )
    elif checks:
        parts.append("Every bracket that was run scores what it must.")
    if missing:
        labels = [study.comparison.layout.label(name) for name in missing]
        parts.append(f"Not run: {join_words(labels)}.")
    return " ".join(parts)


def judge_sentence(study: Study) -> str:
    """Return a sentence with the judge's accuracy in image mode, or ""."""
    words = {
        "view": "of unseen views of the pictures",
        "oracle": "of the true pictures",
        "reconstructed": "of their reconstructions",
    }
    parts = []
    for name, of in words.items():
        subject = study.subject(name)
        entry = study.entry(subject, mode="image") if subject else Entry(None)
        if entry.value is not None:
            parts.append(f"{points(entry.value)}% {of}")
    return f"The judge recognises {join_words(parts)}." if parts else ""


def trust_section(study: Study) -> Section:
    """Return the brackets with what they must score, and how the judge reads."""
    checks = check_all(study)
    blocks: list[Block] = [Paragraph(text) for text in (verdict(study, checks),) if text]
    if "image" not in study.modes:
        blocks.insert(0, Paragraph(_NO_JUDGE))
    if checks:
        heads = ("Bracket", "Mode", "Prompts", "Overall", "95% interval", "Textual", "Visual",
                 "Must be", "Verdict")  # fmt: skip
        rows = tuple(map(_row, checks))
        blocks.append(Grid("Brackets", heads, rows, words=(1, 7, 8)))
        blocks.append(Paragraph(_RULE, note=True))
    judged = [
        one
        for name in JUDGED
        if (one := study.subject(name)) and "image" in one.modes
    ]  # fmt: skip
    if judged:
        panel = Panel(lambda theme: _judge_map(judged, theme), "Accuracy of the judge by theme")
        blocks.append(Drawing((panel,), _MAP, columns=3, saved={"judge": panel.draw}))
        blocks += _confusions(judged)
    rules = _rules_grid(study)
    if rules:
        blocks += [Heading("Ways of reading the judge"), rules, Paragraph(_RULES, note=True)]
    return Section("judge", "Can the judge be trusted?", tuple(blocks), "Judge and brackets")


def _row(check: Check) -> tuple[str, ...]:
    overall = check.entries["overall"]
    bounds = ", ".join(f"{metric} {words}" for metric, (words, _) in check.bounds.items())
    return (
        check.subject.label,
        label("mode", check.mode),
        f"{overall.n:,.0f}",
        points(overall.value),
        span(overall.low, overall.high),
        points(check.entries["textual"].value),
        points(check.entries["visual"].value),
        bounds,
        "holds" if check.holds else "does not hold",
    )


def _judge_map(judged: Sequence[Subject], theme: Theme = LIGHT):
    themes = [name for name in THEMES if any(r["theme"] == name for r in judged[0].records)]
    values = [[_percent(one, name) for one in judged] for name in themes]
    rows = [name.capitalize() for name in themes]
    columns = [one.label for one in judged]
    return heat_map(values, rows, columns, theme, title="Right by the judge (%)")


def _percent(one: Subject, theme: str) -> float | None:
    found = [r["metrics"]["overall"] for r in different(one) if r["theme"] == theme]
    return 100 * sum(found) / len(found) if found else None


def different(one: Subject) -> list[Record]:
    """Return one record for each different picture that a bracket was asked for."""
    records = one.asked(mode="image")
    return list(
        {(r["theme"], r["truth"]["detail"], r["truth"]["object"]): r for r in records}.values()
    )


def _confusions(judged: Sequence[Subject]) -> list[Block]:
    """Return the words that the judge takes for others, and how many pictures it was shown."""
    made: list[Block] = []
    for one in judged:
        asked = different(one)
        wrong = Counter(
            (record["theme"], side, record["truth"][side], record["judged"][record["rule"]][side])
            for record in asked
            if record["rule"] in record["judged"]
            for side in ("detail", "object")
            if record["judged"][record["rule"]][side] != record["truth"][side]
        )
        right = sum(record["metrics"]["overall"] for record in asked)
        low, high = wilson(right, len(asked))
        text = (
            f"{one.label}: {right} of {len(asked)} different pictures right on both sides "
            f"({points(right / len(asked))}%, 95% interval {span(low, high)})."
        )
        blocks: list[Block] = [Paragraph(text)]
        rows = tuple(
            (f"{display(true)} ({theme if side == 'detail' else side}, {theme} pictures)",
             "nothing" if said is None else display(said), str(count))
            for (theme, side, true, said), count in wrong.most_common(_SHOWN)
        )  # fmt: skip
        if rows:
            blocks.append(Grid("Confusions", ("Shown", "Taken for", "Pictures"), rows, (1,)))
        made += blocks
    return [Details("Different pictures, and what the judge takes for what", tuple(made))]


def _rules_grid(study: Study) -> Grid | None:
    """Return the accuracy by each rule, for rows and modes that were read in several ways."""
    rules = [r for r in RULES if any(c[-1] == f"overall_{r}" for c in study.comparison.cells)]
    rows = []
    for one in study.subjects:
        for mode in study.modes:
            if mode == "text" and one.key[0] in ("view", "reconstructed"):
                continue
            found = [study.entry(one, f"overall_{rule}", mode=mode).value for rule in rules]
            if sum(value is not None for value in found) > 1:
                rows.append((one.label, label("mode", mode), *map(points, found)))
    heads = ("Row", "Mode", *(RULES[rule].capitalize() for rule in rules))
    return Grid("Accuracy by rule", heads, tuple(rows), words=(1,)) if rows else None
