"""The sections of the report: scores, trade-off, measures, gallery, training curves."""

from typing import Any

from mllm.benchmarks.mllmu.report.agreement import agreement_blocks
from mllm.benchmarks.mllmu.report.attributes import attribute_blocks
from mllm.benchmarks.mllmu.report.carry import carry_blocks
from mllm.benchmarks.mllmu.report.changes import change_figure, has_changes
from mllm.benchmarks.mllmu.report.cost import cost_blocks
from mllm.benchmarks.mllmu.report.finding import headline_reason
from mllm.benchmarks.mllmu.report.gallery import gallery
from mllm.benchmarks.mllmu.report.judges import judge_blocks
from mllm.benchmarks.mllmu.report.layout import MODALITIES, SETS
from mllm.benchmarks.mllmu.report.measures import measure_blocks
from mllm.benchmarks.mllmu.report.ranking import ranking_blocks
from mllm.benchmarks.mllmu.report.states import state_blocks
from mllm.benchmarks.mllmu.report.stress import stress_blocks
from mllm.benchmarks.mllmu.report.tradeoff import drawn_rows, tradeoff_figure, tradeoff_points
from mllm.benchmarks.mllmu.report.trajectories import trajectory_drawing
from mllm.benchmarks.mllmu.report.truth import truth_blocks
from mllm.reporting.charts import Curve
from mllm.reporting.collect import Sweep
from mllm.reporting.comparison import Comparison
from mllm.reporting.section import Block, Drawing, Gallery, Panel, Paragraph, Section
from mllm.reporting.standard import curves_section, group_id, scores_section

CURVES = {
    "loss": Curve("loss"),
    "forget_nll": Curve("forget", "-", "#D55E00"),
    "retain_nll": Curve("retain", "-", "#009E73"),
    "kl": Curve("KL", "--", "#0072B2"),
}
_CURVES = (
    "The losses that each run logged: its training loss, the loss on answers to forget and to "
    "retain, and the divergence from its reference model (KL). Each panel has its own scale."
)
_TRADEOFF = (
    "Multiple choice by option text; one point per checkpoint, stars for the anchors. To the right "
    "more of the forget set is forgotten, upwards more of retain and celebrity is kept. The dashed "
    "lines cross at the target: as little known about the forget set as retain-only knows, and as "
    "much kept as by vanilla. Thin bars are 95% intervals over people; for utility, those of the "
    "two sets are combined as independent. Of several seeds, small marks are the seeds and large "
    "ones their means; the ellipses hold 95% of the spread of the mean over people and seeds."
)
_VARIANTS = " The {} rows of variants stand in the tables alone."
_CHANGES = (
    "Change in accuracy by option text from vanilla, in points. Filled marks: image + text; open "
    "marks: text only. The shaded band spans the changes of retain-only in the two modalities. "
    "Bars are 95% intervals of the difference, paired by person where the replies allow it."
)
_GALLERY = (
    "The people are evenly spaced over the sorted IDs, chosen without regard to the answers; "
    "replies are those of each method’s first seed. {} Free generation is not marked as right or "
    "wrong. In blanks and sentences, words of vanilla’s reply that are gone are struck out and new "
    "ones underlined, where the two have a word in common."
)
_CHOICES = {
    "paper": "Multiple choice shows the reply, and a blank is right if the answer occurs in it."
}
_CHOSEN = "Multiple choice shows the option with the highest log-probability per token."
# Sections that show where their data are: name, title, comparison -> blocks.
_PARTS = (
    ("attributes", "What is still known, by attribute", attribute_blocks),
    ("carry", "From one kind of question to the other", carry_blocks),
    ("measures", "Measures of answers", measure_blocks),
    ("truth", "Truth ratios", truth_blocks),
    ("agreement", "Agreement of measures", agreement_blocks),
    ("judges", "Judged replies", judge_blocks),
    ("stress", "Under attack", stress_blocks),
    ("states", "States of the replies", state_blocks),
    ("cost", "Cost", cost_blocks),
)


def sections(sweep: Sweep, benchmark: Any | None) -> list[Section]:
    """Return the sections between the head of the report and how to reproduce it.

    Without the benchmark the gallery shows no portraits.
    """
    portraits = read_portraits(benchmark)
    found = []
    for comparison in sweep.comparisons:
        if blocks := ranking_blocks(comparison):
            found.append(_section(sweep, comparison, "ranking", "Distance to retain-only", blocks))
        found.append(scores_section(comparison, headline_reason(comparison)))
        tradeoff = _tradeoff_section(sweep, comparison)
        found += [tradeoff] if tradeoff else []
        for name, title, blocks_of in _PARTS:
            if blocks := blocks_of(comparison):
                found.append(_section(sweep, comparison, name, title, blocks))
        cards = tuple(gallery(comparison, portraits))
        shown: tuple[Block, ...] = (
            (
                Paragraph(_GALLERY.format(_CHOICES.get(comparison.protocol, _CHOSEN)), note=True),
                Gallery(cards),
            )
            if cards
            else (Paragraph("These runs have no replies on disk."),)
        )
        found.append(_section(sweep, comparison, "gallery", "Gallery", shown))
    return [*found, curves_section(sweep, CURVES, _CURVES)]


def read_portraits(benchmark: Any | None) -> dict[str, bytes]:
    """Return profile ID -> encoded image of the profiles that may be shown."""
    profiles = benchmark.profiles("full") if benchmark else ()
    return {profile.id: profile.images[0] for profile in profiles if profile.images}


def _section(
    sweep: Sweep, comparison: Comparison, name: str, title: str, blocks: tuple[Block, ...]
) -> Section:
    address, group = f"{group_id(comparison)}-{name}", comparison.layout.group
    if len(sweep.comparisons) < 2 or group is None or comparison.group is None:
        return Section(address, title, blocks)
    heading = comparison.heading
    # With several groups the contents name each section in a word.
    menu = f"{name.capitalize()}, {group.value.format(comparison.group)}"
    return Section(address, f"{title}: {heading[:1].lower()}{heading[1:]}", blocks, menu)


def _tradeoff_section(sweep: Sweep, comparison: Comparison) -> Section | None:
    points = tradeoff_points(comparison)
    if not points:
        return None
    ending = "" if comparison.group is None else f"_forget{comparison.group}"
    shown = [one for one in MODALITIES.labels if any(point.modality == one for point in points)]
    panels = [
        Panel(
            lambda theme, one=modality: tradeoff_figure(comparison, points, (one,), theme),
            f"Trade-off of forgetting and utility, {MODALITIES.label(modality)}",
        )
        for modality in shown
    ]
    saved = {
        f"tradeoff{ending}": lambda theme: tradeoff_figure(comparison, points, theme=theme),
    }
    left = len(comparison.keys) - len(drawn_rows(comparison))
    caption = _TRADEOFF + (_VARIANTS.format(left) if left else "")
    blocks = [Drawing(tuple(panels), caption, saved=saved)]
    if has_changes(comparison):
        blocks.append(_changes(comparison, ending))
    if drawing := trajectory_drawing(comparison, ending):
        blocks.append(drawing)
    return _section(sweep, comparison, "tradeoff", "What forgetting costs", tuple(blocks))


def _changes(comparison: Comparison, ending: str) -> Drawing:
    panels = [
        Panel(
            lambda theme, one=name: change_figure(comparison, (one,), theme),
            f"Change in accuracy from vanilla on the {name} set",
        )
        for name in SETS.labels
    ]
    saved = {
        f"change{ending}": lambda theme: change_figure(comparison, theme=theme, legend=True),
    }
    return Drawing(tuple(panels), _CHANGES, saved=saved)
