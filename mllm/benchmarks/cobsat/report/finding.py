"""One or two sentences: whether the judge can be trusted, and whether the model learns."""

from mllm.benchmarks.cobsat.report.evidence import CONTROLS, MODEL_CONTROLS, contrasts, learns
from mllm.benchmarks.cobsat.report.study import Study
from mllm.benchmarks.cobsat.report.trust import check_all, judge_sentence
from mllm.reporting.comparison import Comparison
from mllm.reporting.numbers import points, said
from mllm.reporting.text import join_words

FINDING_RULE = (
    "Computed from default prompts over all tasks; a drawing is right if the judge finds both the "
    "detail and the object in it, a description if its words name both. In brackets: 95% "
    "intervals. θ is what the pictures of a prompt share. A model learns from its pictures if it "
    "is better with them than with those of another θ and than without any: the 95% intervals of "
    "the paired differences exclude 0."
)
_NOT_SCORED = "Drawings were not judged, so image mode has no scores."


def finding(comparison: Comparison) -> str:
    """Return what the numbers show."""
    study = Study(comparison)
    parts = [judge_sentence(study) or (_NOT_SCORED if "image" not in study.modes else "")]
    failing = [check.subject.label for check in check_all(study) if not check.holds]
    if failing:
        names = join_words(list(dict.fromkeys(failing)))
        parts.append(f"Brackets that do not score what they must: {names}.")
    if study.drawer is None:
        parts.append("No model was evaluated yet.")
    else:
        parts += [_mode(study, mode) for mode in study.modes if mode in study.drawer.modes]
    return " ".join(filter(None, parts))


def _mode(study: Study, mode: str) -> str:
    """Return a sentence about the drawer in one mode."""
    entries = {shots: study.entry(study.drawer, shots=shots, mode=mode) for shots in study.shots}
    asked = [shots for shots, entry in entries.items() if entry.value is not None]
    if not asked:
        return ""
    right = join_words([f"{said(entries[shots])} of {shots}-shot prompts" for shots in asked])
    text = f"In {mode} mode the {study.drawer.label.lower()} gets {right} right"
    found = {shots: contrasts(study, mode, shots) for shots in asked}
    controls = [
        f"{join_words([f'{points(one[name].second)}%' for one in found.values() if name in one])} "
        f"{CONTROLS[name]}"
        for name in MODEL_CONTROLS
        if any(name in one for one in found.values())
    ]
    text += f", against {join_words(controls)}" if controls else ""
    known = [verdict for shots in asked if (verdict := learns(study, mode, shots)) is not None]
    if not known:
        return f"{text}."
    if all(known):
        return f"{text}: it learns from the pictures in its prompt."
    if any(known):
        return f"{text}: it learns from the pictures in its prompt at some numbers of shots only."
    return f"{text}: these prompts do not show that it learns from the pictures in its prompt."
