"""What a data set holds, in lines for a person."""

from typing import Any

import numpy as np

from mllm.benchmarks.msr.importers.ledger import lines_of
from mllm.benchmarks.msr.metrics import ranking_metrics
from mllm.benchmarks.msr.rows import GALLERY, ITEMS, SPLITS

COLUMNS = {
    "users": "{:,}",
    "items": "{:,}",
    "interactions": "{:,}",
    "mean_length": "{:.2f}",
    "sparsity": "{:.2%}",
    "median_popularity": "{:,}",
    "most_popular": "{:,}",
}


def summary(benchmark: Any) -> list[str]:
    """Return lines about items, users and log, and of generated data the ceiling.

    Args:
      benchmark: a `benchmark.Benchmark`.
    """
    info = benchmark.info
    counts = info["counts"]
    users = [*benchmark.users("test")]
    cold = sum(not benchmark.popularity[user.target] for user in users)
    lines = [
        f"items: {counts[ITEMS]}, {counts[ITEMS] - len(benchmark.log_ids)} of them cold"
        + (f"; {counts[GALLERY]} more in the gallery" if GALLERY in counts else ""),
        "users: " + ", ".join(f"{counts[split]} {split}" for split in SPLITS),
        f"targets of test users: {len(users) - cold} warm, {cold} cold",
        *statistics_table(info["steps"]),
        *lines_of(info.get("flaws", {}), info.get("numbers", {})),
    ]
    return lines if "habits" not in info else [*lines, *ceiling_table(benchmark)]


def statistics_table(steps: dict[str, dict[str, float]]) -> list[str]:
    """Return a table of the statistics of the interactions at each step."""
    rows = [
        [name, *(form.format(step[key]) for key, form in COLUMNS.items())]
        for name, step in steps.items()
    ]
    return _table([["interactions", *(key.replace("_", " ") for key in COLUMNS)], *rows])


def ceiling_table(benchmark: Any) -> list[str]:
    """Return a table of what the true probabilities, popularity and chance reach on the test."""
    users = [*benchmark.users("test")]
    popularity = benchmark.popularity
    scores = {
        "Bayes": np.array([[*benchmark.truth(user).values()] for user in users]),
        "popularity": np.array([[popularity[id] for id in user.candidates] for user in users]),
        "chance": np.zeros((len(users), len(users[0].candidates))),
    }
    cold = np.array([not popularity[user.target] for user in users])
    rows = []
    for group, chosen in (("all", cold | True), ("warm", ~cold), ("cold", cold)):
        for name, found in scores.items():
            if not chosen.any():
                continue
            values = ranking_metrics(found[chosen], np.zeros(chosen.sum(), int), (5,))
            shown = [values["auc_pooled"], values["hr@5"], values["mrr@5"]]
            rows.append([group, name, str(chosen.sum()), *(f"{value:.3f}" for value in shown)])
    return _table([["target", "ranked by", "users", "AUC", "HR@5", "MRR@5"], *rows])


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
