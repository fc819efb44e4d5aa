"""One or two sentences: whether the judge can be trusted, and whether the model learns."""

from mllm.benchmarks.cobsat.report.evidence import CONTROLS, MODEL_CONTROLS, contrasts, learns
from mllm.benchmarks.cobsat.report.study import Study
from mllm.benchmarks.cobsat.report.text import points, said
from mllm.benchmarks.cobsat.report.trust import check_all, judge_sentence
from mllm.reporting.comparison import Comparison
from mllm.reporting.text import join_words

FINDING_RULE = (
    "Computed from default prompts over all tasks; a drawing is right if the judge finds both the "
    "detail and the object in it, a description if its words name both. θ is what the pictures of "
    "a prompt share. A model learns from its pictures if it is better with them than with those of "
    "another θ and than without any: the 95% intervals of the paired differences exclude 0."
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
    scores, verdicts = [], []
    for shots in study.shots:
        entry = study.entry(study.drawer, shots=shots, mode=mode)
        if entry.value is None:
            continue
        found = contrasts(study, mode, shots)
        against = [
            f"{points(found[name].second)}% {CONTROLS[name]}"
            for name in MODEL_CONTROLS
            if name in found
        ]
        controls = f", and {join_words(against)}" if against else ""
        scores.append(f"{said(entry)} with {shots} shots{controls}")
        verdicts.append(learns(study, mode, shots))
    if not scores:
        return ""
    text = f"In {mode} mode the {study.drawer.label.lower()} answers {'; '.join(scores)}"
    known = [verdict for verdict in verdicts if verdict is not None]
    if not known:
        return f"{text}."
    if all(known):
        return f"{text}: it learns from the pictures in its prompt."
    if any(known):
        return f"{text}: it learns from the pictures in its prompt at some numbers of shots only."
    return f"{text}: these prompts do not show that it learns from the pictures in its prompt."
