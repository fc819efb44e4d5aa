"""Leaves can be told apart on base signals that were not heard before, by a linear classifier."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import signal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mllm.benchmarks.hear.generate import draw_record, render
from mllm.benchmarks.hear.plan import SIZES, plan_split
from mllm.benchmarks.hear.table import leaves_table
from mllm.data.audio import RATE

BANDS = 48


def features(record) -> np.ndarray:
    """Mean, deviation, maximum and mean change over time of the levels of bands in dB."""
    frequencies, _, power = signal.spectrogram(render(record), RATE, nperseg=400, noverlap=240)
    edges = np.geomspace(60, 8000, BANDS + 1)
    bands = [
        power[(frequencies >= low - 40) & (frequencies <= high)].sum(0)
        for low, high in itertools.pairwise(edges)
    ]
    level = 10 * np.log10(np.array(bands) + 1e-12)
    level = np.maximum(level - level.max(), -60)
    change = np.abs(np.diff(level, axis=1)).mean(1)
    return np.concatenate([level.mean(1), level.std(1), level.max(1), change])


@pytest.mark.thorough
@pytest.mark.slow
def test_leaves_can_be_told_apart():
    sizes = replace(SIZES["tiny"], train=8, rare=8, test=3, scenes=1, mixed=0.0)
    found = {}
    for split in ("train", "test"):
        plans = plan_split(sizes, 0, split)
        records = [draw_record(plan, sizes.seconds, 0) for plan in plans]
        found[split] = (
            np.array([features(record) for record in records]),
            [plan.bases[0][0] for plan in plans],
        )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    classifier.fit(*found["train"])
    assert classifier.score(*found["test"]) > 0.9


def test_the_page_has_the_table():
    page = Path(__file__).parents[3] / "docs" / "hear_data.md"
    assert leaves_table() in page.read_text(encoding="utf-8")
