"""Which measures order methods alike, and where truth ratios lie, from measures written by hand."""

import numpy as np
import pytest
from scipy.stats import rankdata

from mllm.benchmarks.mllmu.measures import measures
from mllm.benchmarks.mllmu.report import REPORT
from mllm.benchmarks.mllmu.report.agreement import agreement_blocks, correlations
from mllm.benchmarks.mllmu.report.truth import logarithms, truth_blocks
from mllm.evaluation.inspection import write_inspection
from mllm.reporting import collect
from mllm.reporting.figures import LIGHT
from tests.benchmarks.mllmu.test_measures import make_rows

METHODS = ("vanilla", "retain_only", "ga", "grad_diff", "npo", "kl_min")


@pytest.fixture(scope="module")
def measured(tmp_path_factory, sweep):
    """A study of two seeds with measures, and the rows of each run."""
    workdir = tmp_path_factory.mktemp("measured") / "measured"
    sweep(
        workdir, methods=METHODS, seeds=(0, 1), profiles={"forget": 6, "retain": 6, "celebrity": 6}
    )
    (comparison,) = collect(workdir, REPORT.layout).comparisons
    kept = {}
    for number, run in enumerate(run for runs in comparison.runs.values() for run in runs):
        rows = kept[run.method, run.seed] = make_rows(number, number / 4, questions=20)
        found = {"questions": rows, "errors": 0}
        write_inspection(run.records_path.parent, measures({}), found, run.manifest)
    return comparison, kept


def test_correlations_are_those_of_ranks_over_unlearned_runs(measured):
    comparison, kept = measured
    table, note = agreement_blocks(comparison)
    rows = dict(table.rows)
    places = {head: place for place, head in enumerate(table.heads[1:])}
    assert "8 runs" in note.text and [*rows] == [*places]
    unlearned = [kept[method, seed] for method in METHODS[2:] for seed in (0, 1)]

    def ranks(name):
        means = [np.mean([r[name] for r in rows if r["set"] == "forget"]) for rows in unlearned]
        return rankdata(means)

    expected = np.corrcoef(ranks("probability"), ranks("exact_memorisation"))[0, 1]
    assert rows["Probability"][places["Memorised"]] == pytest.approx(expected)
    found = np.array([values for _, values in table.rows], float)
    np.testing.assert_allclose(found, found.T)
    np.testing.assert_allclose(np.diag(found), 1.0)


def test_few_or_constant_values_have_no_correlation(measured):
    named = {
        "e": [float("nan"), float("-inf"), *range(7)],
        "a": [*range(9)],
        "b": [2.0] * 9,
        "c": [None, None, *range(7)],
        "d": [*range(9, 0, -1)],
    }
    assert correlations(named, "a") == [None, pytest.approx(1), None, None, pytest.approx(-1)]
    comparison, _ = measured
    comparison.methods, whole = comparison.methods[:2], comparison.methods
    try:
        assert agreement_blocks(comparison) == ()
    finally:
        comparison.methods = whole


def test_truth_ratios_are_those_of_the_forget_set_of_all_seeds(measured):
    comparison, kept = measured
    found = logarithms(comparison, ("npo", ""))
    expected = [
        np.log10(row["truth_ratio"])
        for seed in (0, 1)
        for row in kept["npo", seed]
        if row["set"] == "forget" and row["truth_ratio"] is not None
    ]
    np.testing.assert_allclose(found, expected)
    ((drawing,),) = (truth_blocks(comparison),)
    (axes,) = drawing.panels[0].draw(LIGHT).axes
    assert [text.get_text() for text in axes.get_yticklabels()][2:] == [
        "GA", "GradDiff", "KL-Min", "NPO",
    ]  # fmt: skip
    boxes = {
        round(patch.get_y() + 0.25): patch for patch in axes.patches if patch.get_height() == 0.5
    }
    low, high = np.quantile(expected, [0.25, 0.75])
    assert boxes[5].get_x() == pytest.approx(low)
    assert boxes[5].get_width() == pytest.approx(high - low)


def test_without_measures_there_is_nothing(tmp_path, write, small_profiles):
    write(tmp_path, "npo", profiles=small_profiles)
    (comparison,) = collect(tmp_path, REPORT.layout).comparisons
    assert agreement_blocks(comparison) == truth_blocks(comparison) == ()
