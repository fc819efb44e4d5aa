"""The claim as a sentence with its numbers: what a model knows of words and misses in sounds."""

from mllm.benchmarks.bracketed import failures
from mllm.benchmarks.hear.incontext import PLAIN
from mllm.benchmarks.hear.probed import ALL
from mllm.benchmarks.hear.relations import WORDS
from mllm.benchmarks.hear.report.forgetting import forgotten
from mllm.benchmarks.hear.report.layout import CAPTIONS, CHANCE, FACTS, label
from mllm.benchmarks.hear.report.recognition import DIRECT
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.hear.report.trust import check_all
from mllm.benchmarks.subject import Subject
from mllm.reporting.compared import Compared
from mllm.reporting.comparison import Comparison
from mllm.reporting.numbers import said, signed, signed_span
from mllm.reporting.text import join_words

FINDING_RULE = (
    "Computed from yes-or-no questions about clips of base signals that nothing was learned from; "
    "half of the answers are no in every relation. In brackets: 95% intervals that resample base "
    "signals, question by question; with several seeds, numbers are means over them. A gap is "
    "the accuracy given the label as text less that given the sound alone, in points; it counts "
    "if its interval excludes 0."
)


def finding(comparison: Comparison) -> str:
    """Return what the numbers show."""
    study = Study(comparison)
    parts = []
    if failing := failures(check_all(study)):
        parts.append(f"Rows that do not score what they must: {join_words(failing)}.")
    if study.main is None or study.entry(study.main, condition="A").value is None:
        return " ".join([*parts, "No model that hears was evaluated yet."])
    one = study.main
    found = (_heard(study, one), _gaps(study, one), _forgotten(study, one), _facts(study))
    parts += filter(None, found)
    return " ".join(parts)


def _heard(study: Study, one: Subject) -> str:
    """Return how well the model hears, and how well it knows the label itself."""
    classes = study.entry(one, task=DIRECT, relation=ALL, condition=PLAIN)
    recognised = study.entry(one, relation="label", condition="A")
    parts = []
    if classes.value is not None:
        parts.append(f"names the class of {said(classes)} of {classes.n:,.0f} unseen clips")
    if recognised.value is not None:
        parts.append(f"is right about the label of a sound in {said(recognised)} of questions")
    text = f"{_named(one)} {join_words(parts)}." if parts else ""
    if recognised.low is not None and recognised.low <= CHANCE:
        text += " That is not told apart from chance: what it reasons from sounds cannot be judged."
    return text


def _named(one: Subject) -> str:
    names = {
        CAPTIONS: "The model taught by captions",
        FACTS: "The model taught by captions and facts",
    }
    return names.get(one.method, one.label)


def _gaps(study: Study, one: Subject) -> str:
    """Return where words tell more than sounds, and whether the model's captions close the gap."""
    found = {relation: study.gap(one, relation, "T-A") for relation in WORDS}
    known = {relation: gap for relation, gap in found.items() if gap is not None}
    if not known:
        return "The same questions were not asked in words and in sounds."
    lost = {relation: gap for relation, gap in known.items() if gap.low > 0}
    gained = {relation: gap for relation, gap in known.items() if gap.high < 0}
    rest = {name: gap for name, gap in known.items() if name not in {**lost, **gained}}
    parts = []
    if lost:
        parts.append(
            "Given the label in words it is right more often than given the sound, about "
            f"{_listed(lost)}."
        )
    if gained:
        parts.append(f"Given the sound it is right more often, about {_listed(gained)}.")
    if rest:
        parts.append(f"No gap can be distinguished from 0 for {_listed(rest)}.")
    back = {relation: study.gap(one, relation, "C-A") for relation in lost}
    back = {relation: gap for relation, gap in back.items() if gap is not None}
    if back:
        moved = join_words([signed(gap.difference) for gap in back.values()])
        parts.append(f"Its own caption in place of the sound moves these by {moved} points.")
    seeds = len(one.runs)
    parts.append(f"These are means over {seeds} seeds." if seeds > 1 else "This is one seed.")
    return " ".join(parts)


def _forgotten(study: Study, one: Subject) -> str:
    """Return whether what was known of words is still known."""
    found = forgotten(study, one)
    if found is None:
        return ""
    size = f"({signed(found.difference)} points, {signed_span(found.low, found.high)})"
    if not found.clear:
        return f"About words it is right as often as before it learned to hear {size}."
    verb = "learned about words" if found.difference > 0 else "forgot about words"
    return f"Learning to hear, it {verb} {size}."


def _listed(gaps: dict[str, Compared]) -> str:
    return join_words(
        [
            f"{label('relation', relation).lower()}s ({signed(gap.difference)} points, "
            f"{signed_span(gap.low, gap.high)})"
            for relation, gap in gaps.items()
        ]
    )


def _facts(study: Study) -> str:
    """Return whether facts in text reach the sound."""
    one, other = study.subject(FACTS), study.subject(CAPTIONS)
    found = {r: study.compare(one, other, relation=r, condition="A") for r in WORDS}
    known = {relation: gap for relation, gap in found.items() if gap is not None}
    if not known:
        return ""
    clear = {name: gap for name, gap in known.items() if gap.low > 0}
    worse = {name: gap for name, gap in known.items() if gap.high < 0}
    rest = {name: gap for name, gap in known.items() if name not in {**clear, **worse}}
    parts = []
    if clear:
        parts.append(f"better about {_listed(clear)}")
    if worse:
        parts.append(f"worse about {_listed(worse)}")
    if rest:
        parts.append(f"not told apart about {_listed(rest)}")
    text = f"Taught facts about kinds in text too, its answers from sounds are {'; '.join(parts)}."
    gaps = {relation: study.gap(one, relation, "T-A") for relation in known}
    left = {name: gap for name, gap in gaps.items() if gap is not None and gap.low > 0}
    return f"{text} {_left(left)}"


def _left(gaps: dict[str, Compared]) -> str:
    if not gaps:
        return "No gap between words and sounds is then told apart from 0."
    return f"Of the gaps between words and sounds, those about {_listed(gaps)} are left."
