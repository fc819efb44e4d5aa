"""The headline: who is nearest to retain-only, who is tied, who forgets and who forgets too far."""

from types import SimpleNamespace

import numpy as np
import pytest

from mllm.benchmarks.mllmu.report import REPORT
from mllm.benchmarks.mllmu.report.marks import like_vanilla
from mllm.benchmarks.mllmu.report.ranking import ranking_blocks
from mllm.benchmarks.mllmu.report.standing import standings, tied_with_best
from mllm.benchmarks.mllmu.report.tradeoff import drawn_rows, tradeoff_figure, tradeoff_points
from mllm.evaluation.statistics import holm, paired_difference
from mllm.reporting import collect
from mllm.reporting.families import family
from mllm.reporting.regions import axes_of
from mllm.reporting.section import Grid
from tests.sealing import seal_results

CELLS = [("forget", "classification", one, "accuracy_text") for one in ("image_text", "text")]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory, sweep):
    """All methods with two seeds."""
    profiles = {"forget": 9, "retain": 12, "celebrity": 8}
    workdir = sweep(tmp_path_factory.mktemp("two") / "two", seeds=(0, 1), profiles=profiles)
    (found,) = collect(workdir, REPORT.layout).comparisons
    return found


def mean_of(comparison, key, sets):
    """The mean over cells of the means over seeds, from the scores of the runs."""
    values = [
        np.mean([s["value"] for run in comparison.runs[key] for s in run.scores
                 if (s["set"], s["modality"], s["metric"]) == (name, modality, "accuracy_text")])
        for name in sets for modality in ("image_text", "text")
    ]  # fmt: skip
    return float(np.mean(values))


def test_the_distances_are_those_of_the_scores(comparison):
    found = standings(comparison)
    assert set(found) == {(one, "") for one in ("ga", "grad_diff", "kl_min", "npo", "prompting")}
    kept = ("retain", "celebrity")
    for key, one in found.items():
        away = abs(mean_of(comparison, key, ["forget"])
                   - mean_of(comparison, ("retain_only", ""), ["forget"]))  # fmt: skip
        lost = mean_of(comparison, ("vanilla", ""), kept) - mean_of(comparison, key, kept)
        assert one.away.value == pytest.approx(away)
        assert one.lost.value == pytest.approx(max(0, lost))
        assert one.total.value == pytest.approx(away + max(0, lost))
        low, high = one.total.interval
        assert low <= one.total.value <= high
    totals = [one.total.value for one in found.values() if one.forgot]
    assert totals == sorted(totals) and not found["prompting", ""].forgot
    assert [*found][-1] == ("prompting", "")


def test_the_family_pairs_people_over_cells_and_seeds(comparison):
    vanilla, keys = ("vanilla", ""), comparison.methods
    found = family(comparison, keys, vanilla, CELLS)
    for key, one in found.items():
        # Both cells ask each person five questions, so pooling them weighs all alike.
        ours, theirs = (
            {(cell, place): value for cell in CELLS
             for place, value in comparison.answers(row, cell).items()}
            for row in (key, vanilla)
        )  # fmt: skip
        people = [place.profile for _, place in ours]
        expected = paired_difference([*ours.values()], [theirs[at] for at in ours], people)
        assert one.difference == pytest.approx(expected.difference)
        assert one.p_value == pytest.approx(expected.p_value)
        assert one.p_value <= one.corrected
    bound = holm([one.p_value for one in found.values()])
    assert all(one.corrected <= high for one, high in zip(found.values(), bound, strict=True))
    assert found["ga", ""].clear and not found["prompting", ""].clear


def test_a_difference_must_hold_in_the_seeds_too(tmp_path, write, small_profiles):
    """One seed of three forgets: its people agree, the seeds do not."""
    for seed in range(3):
        write(tmp_path, "vanilla", seed=seed, profiles=small_profiles)
        like = "ga" if seed == 0 else "vanilla"
        write(tmp_path, like, seed=seed + 7, profiles=small_profiles, name=f"npo-{seed}")
        path = tmp_path / f"npo-{seed}"
        for file in (path / "run.json", path / "eval/strict/results.json"):
            text = file.read_text().replace(f'"method": "{like}"', '"method": "npo"')
            file.write_text(text.replace(f'"seed": {seed + 7}', f'"seed": {seed}'))
        seal_results(path / "eval/strict/results.json")
    (found,) = collect(tmp_path, REPORT.layout).comparisons
    one = family(found, [("npo", "")], ("vanilla", ""), CELLS)["npo", ""]
    assert one.corrected <= 0.05 and one.difference < -0.2
    assert one.low < 0 <= one.high and not one.clear
    assert ("npo", "") in like_vanilla(found, CELLS[0])


def test_a_tie_is_a_lead_that_may_be_chance(comparison):
    found = standings(comparison)
    best, *others = [one.total.draws for one in found.values() if one.forgot]
    values = []
    for draws in others:
        above = sum(float(gap) >= 0 for gap in best - draws)
        below = sum(float(gap) <= 0 for gap in best - draws)
        values.append(min(1.0, 2 * (1 + min(above, below)) / (1 + len(best))))
    forgot = [key for key, one in found.items() if one.forgot][1:]
    expected = [key for key, value in zip(forgot, holm(values), strict=True) if value > 0.05]
    assert tied_with_best(found) == expected and ("ga", "") not in expected


def test_the_table_says_place_seeds_and_verdicts(comparison):
    grid, rule, seeds = ranking_blocks(comparison)
    assert isinstance(grid, Grid) and "Westfall" in rule.text and "seeds" in seeds.text
    rows = {row[0]: dict(zip(grid.heads, row, strict=False)) for row in grid.rows}
    assert [*rows][:2] == ["Vanilla", "Retain-only"] and [*rows][-1] == "Prompting"
    assert rows["Prompting"]["Beside vanilla"] == "not told apart"
    assert rows["Prompting"]["Beside retain-only"] == "still knows"
    assert rows["GA"]["Beside vanilla"] == "forgets"
    places = [row["Place"] for row in rows.values()]
    assert places[2] == "1" and places[-1] == "–"
    by_seed = rows["GA"]["By seed"].split(", ")
    mean = np.mean([float(one) for one in by_seed])
    assert len(by_seed) == 2 and mean == pytest.approx(float(rows["GA"]["On forget"]), abs=0.1)


def test_of_many_rows_the_variants_are_not_drawn():
    methods = [(name, "") for name in "abcdefghijklmnopqrst"]
    variants = [("a", "text"), ("b", "text"), ("c", "text"), ("only", "text"), ("b", "mixed")]
    few = SimpleNamespace(keys=[*methods, *variants[:4]])
    assert drawn_rows(few) == tuple(few.keys)
    many = SimpleNamespace(keys=[*methods, *variants])
    assert drawn_rows(many) == (*methods, ("only", "text"))


def test_the_ellipse_is_the_spread_of_the_mean_over_people_and_seeds(comparison):
    """The figure's spread, from the covariance of draws made here."""
    figure = tradeoff_figure(comparison, tradeoff_points(comparison), ["text"])
    centres = {tuple(np.round(patch.center, 6)): patch for patch in figure.axes[0].patches}
    key = ("npo", "")
    vanilla = mean_over(comparison, ("vanilla", ""), ["forget"], "text")
    centre = (
        100 * (vanilla - mean_over(comparison, key, ["forget"], "text")),
        100 * mean_over(comparison, key, ["retain", "celebrity"], "text"),
    )
    cell = ("forget", "classification", "text", "accuracy_text")
    useful = [
        comparison.draws(key, (name, *cell[1:])) for name in ("retain", "celebrity")
    ]  # of other people, but of the same seeds
    spread = np.cov(-100 * comparison.draws(key, cell), 100 * (useful[0] + useful[1]) / 2)
    patch = centres[tuple(np.round(centre, 6))]
    assert (patch.width, patch.height, patch.angle) == pytest.approx(axes_of(spread))
    assert len(centres) == len(comparison.keys)


def mean_over(comparison, key, sets, modality):
    return float(np.mean([
        comparison.entry(key, (name, "classification", modality, "accuracy_text")).value
        for name in sets
    ]))  # fmt: skip
