"""Whether a model learns from the pictures in its prompt: against itself without them."""

from mllm.benchmarks.cobsat.report.layout import label
from mllm.benchmarks.cobsat.report.study import DEFAULT, Compared, Study, compare, values_of
from mllm.benchmarks.cobsat.report.text import excludes_zero, interval_of
from mllm.reporting.numbers import points, signed
from mllm.reporting.section import Block, Grid, Paragraph, Section

CONTROLS = {
    "other_theta": "with the pictures of another θ",
    "blind": "without pictures",
    "query_only": "the query’s word, any θ",
}
MODEL_CONTROLS = ("other_theta", "blind")  # the model itself, with something taken away
_RULE = (
    "The drawer on default prompts, and the same model on the same prompts with the pictures (and "
    "captions) of another θ in place of the right ones, or with all pictures taken out; both are "
    "scored by the true θ. A model that learns from its pictures loses by either; one that ignores "
    "them does not. Differences are paired prompt by prompt, in points; their intervals resample "
    "samples. A dash: fewer than six samples."
)


def contrasts(study: Study, mode: str, shots: str) -> dict[str, Compared]:
    """Return control -> the drawer compared with it on default prompts, where both were asked."""
    drawer = study.drawer
    if drawer is None or mode not in drawer.modes:
        return {}
    place = {"mode": mode, "shots": shots, "prompt": DEFAULT}
    ours = values_of(drawer.asked(**place))
    found = {}
    for name in CONTROLS:
        control = study.subject(name)
        if control is not None and mode in control.modes:
            compared = compare(ours, values_of(control.asked(**place)))
            if compared.n:
                found[name] = compared
    return found


def learns(study: Study, mode: str, shots: str) -> bool | None:
    """Return whether the drawer is better than each control that is itself; None where no such
    control was run.
    """
    found = contrasts(study, mode, shots)
    known = [found[name] for name in MODEL_CONTROLS if name in found]
    if not known:
        return None
    return all(one.difference > 0 and excludes_zero(one) for one in known)


def evidence_section(study: Study) -> Section | None:
    """Return the drawer next to its controls; None where no control was run."""
    rows = []
    for mode in study.modes:
        for shots in study.shots:
            for name, found in contrasts(study, mode, shots).items():
                rows.append(
                    (f"{label('mode', mode)}, {label('shots', shots)}", CONTROLS[name],
                     str(found.n), points(found.first), points(found.second),
                     signed(found.difference), interval_of(found))
                )  # fmt: skip
    if not rows:
        return None
    heads = ("Setting", "Against", "Prompts", study.drawer.label, "Control", "Difference",
             "95% interval")  # fmt: skip
    blocks: list[Block] = [
        Grid("The drawer against its controls", heads, tuple(rows), words=(1,)),
        Paragraph(_RULE, note=True),
    ]
    title = "Does it learn from the pictures in its prompt?"
    return Section("evidence", title, tuple(blocks), "Learning")
