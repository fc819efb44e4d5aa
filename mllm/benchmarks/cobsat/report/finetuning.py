"""Fine-tuned models next to the model that they start from, on words that they never saw."""

from collections.abc import Iterable, Sequence

from mllm.benchmarks.cobsat.report.layout import label
from mllm.benchmarks.cobsat.report.published import LEAVE_ONE_OUT
from mllm.benchmarks.cobsat.report.study import DEFAULT, Study, Subject, compare, values_of
from mllm.benchmarks.cobsat.report.text import interval_of
from mllm.benchmarks.cobsat.scores import ALL
from mllm.reporting.comparison import Comparison
from mllm.reporting.numbers import points, signed, span
from mllm.reporting.section import Block, Details, Grid, Heading, Paragraph, Section

FINETUNED = ("ft_all", "ft_leave_one_out")
_RULE = (
    "Overall accuracy on default prompts. Differences from the drawer are paired prompt by prompt, "
    "in points. Data mode “ft_test” asks the words that fine-tuning on all themes never saw, 250 "
    "prompts a task; with one theme left out, that theme’s two tasks."
)
_PUBLISHED = (
    "Published after fine-tuning with one theme left out, on 250 prompts of other pictures and by "
    "another judge (the print hides shots and model, which must be SEED-LLaMA for drawings and "
    "Qwen-VL for descriptions): {}."
)


def finetuning_section(comparisons: Iterable[Comparison]) -> Section | None:
    """Return the rows of all evaluations that hold a fine-tuned model; None where none does."""
    blocks: list[Block] = []
    left_out = False
    for study in map(Study, comparisons):
        tuned = [one for name in FINETUNED if (one := study.subject(name))]
        whole = [row for one in tuned for row in _rows(study, one, (ALL,))]
        by_task = [row for one in tuned for row in _rows(study, one, study.tasks)]
        if not whole:
            continue
        left_out = left_out or any(one.key[0] == FINETUNED[1] for one in tuned)
        if study.comparison.heading:
            blocks.append(Heading(study.comparison.heading))
        heads = ("Model", "Setting", "Prompts", "Accuracy", "95% interval", "Drawer", "Difference",
                 "95% interval")  # fmt: skip
        title = f"Fine-tuned, data mode {study.data}"
        blocks.append(Grid(title, heads, tuple(whole), words=(1,)))
        grid = Grid(f"{title}, by task", heads, tuple(by_task), words=(1,))
        blocks.append(Details("Fine-tuned models by task", (grid,)))
    if not blocks:
        return None
    blocks.append(Paragraph(_RULE, note=True))
    if left_out:
        blocks.append(Paragraph(_PUBLISHED.format(_published_text()), note=True))
    return Section("finetuning", "After fine-tuning", tuple(blocks), "Fine-tuning")


def _rows(study: Study, one: Subject, tasks: Sequence[str]) -> Iterable[tuple[str, ...]]:
    drawer = study.subject("drawer")
    for mode in study.modes:
        if mode not in one.modes:
            continue
        for shots in study.shots:
            for task in tasks:
                entry = study.entry(one, task=task, shots=shots, mode=mode)
                if entry.value is None:
                    continue
                place = {"mode": mode, "shots": shots, "prompt": DEFAULT}
                place |= {} if task == ALL else {"task": task}
                base = values_of(drawer.asked(**place)) if drawer else {}
                found = compare(values_of(one.asked(**place)), base)
                yield (
                    one.label,
                    f"{label('task', task)}, {mode}, {label('shots', shots)}",
                    f"{entry.n:,.0f}",
                    points(entry.value),
                    span(entry.low, entry.high),
                    points(found.second),
                    signed(found.difference),
                    interval_of(found),
                )


def _published_text() -> str:
    return "; ".join(
        f"{mode} mode " + ", ".join(f"{task} {100 * value:.1f}%" for task, value in cells.items())
        for mode, cells in LEAVE_ONE_OUT.items()
    )
