"""The main tables: how high each method ranks the item that a user took, ours and as published."""

from collections.abc import Sequence

from mllm.benchmarks.msr.report.chance import guessing
from mllm.benchmarks.msr.report.layout import NAMES, label
from mllm.benchmarks.msr.report.published import CANDIDATES, METRICS, NOTE, RESULTS
from mllm.benchmarks.msr.report.study import Study, Subject
from mllm.benchmarks.msr.scores import ALL
from mllm.reporting.comparison import Entry
from mllm.reporting.section import Block, Details, Paragraph, Scores, Section
from mllm.reporting.standard import seed_rule
from mllm.reporting.tables import Column, Row, Table

SHOWN = ("auc_pooled", "hr@5", "mrr@5", "ndcg@5", "auc_user")
_RULE = (
    "Percentages; the small numbers are 95% intervals over users. Each user has {} candidates, one "
    "of which the user took. AUC is over all pairs of a taken and another candidate, whoever the "
    "user is; AUC per user is within a user. HR@k is how often the taken item is among the first "
    "k, MRR@k and NDCG@k also count its place. Candidates with equal scores get the credit that "
    "they have on average over all orders. A cold target is an item that nobody takes in the log "
    "that methods learn from."
)


def ranking_section(study: Study) -> Section:
    """Return the tables of all, warm and cold targets; the other metrics are folded away."""
    targets = [ALL, *study.targets]
    made = [ranking_table(study, target, SHOWN, published=target == ALL) for target in targets]
    blocks: list[Block] = [Scores(one) for one in made if one.measured]
    if not blocks:
        blocks.append(Paragraph("Nothing is scored yet."))
    else:
        notes = (_RULE.format(study.candidates), _published(study), seed_rule(study.comparison))
        blocks.append(Paragraph(" ".join(filter(None, notes)), note=True))
        rest = [name for name in NAMES if name not in SHOWN]
        more = [ranking_table(study, target, rest) for target in targets]
        blocks.append(
            Details("HR, MRR and NDCG at 3 and 10, with the shares of valid replies",
                    tuple(Scores(one, rates=True) for one in more if one.measured))
        )  # fmt: skip
    return Section(
        "ranking", "How high each method ranks what users took", tuple(blocks), "Ranking"
    )


def ranking_table(
    study: Study, target: str, metrics: Sequence[str], *, published: bool = False
) -> Table:
    """Return the scores of all methods: rows by metrics.

    Args:
      published: whether published rows follow, where users have as many candidates as there.
    """
    chance = guessing(study.candidates) if study.candidates else {}
    rows = [Row("Chance", "chance", "", tuple(Entry(chance.get(name)) for name in metrics))]
    rows += [_row(study, one, target, metrics) for one in study.subjects]
    if published and _published(study):
        rows += published_rows(metrics)
    columns = tuple(Column((NAMES[name],), (NAMES[name],)) for name in metrics)
    title = f"{label('target', target)}: metrics by method"
    heading = study.comparison.heading
    return Table(
        title, metrics[0], "Method", columns, tuple(r for r in rows if r.measured), heading
    )


def published_rows(metrics: Sequence[str]) -> list[Row]:
    """Return a row for each published method and data set."""
    return [
        Row(f"{method}, published, {data}", "reference", "",
            tuple(Entry(dict(zip(METRICS, values, strict=True)).get(name)) for name in metrics))
        for method, found in RESULTS.items()
        for data, values in found.items()
    ]  # fmt: skip


def _published(study: Study) -> str:
    return NOTE if study.candidates == CANDIDATES else ""


def _row(study: Study, one: Subject, target: str, metrics: Sequence[str]) -> Row:
    entries = tuple(study.entry(one, name, target=target) for name in metrics)
    seeds = len(study.comparison.runs[one.key])
    note = f"{seeds} seeds" if seeds > 1 else ""
    return Row(one.label, study.comparison.layout.kind(one.key[0]), note, entries, one.key)
