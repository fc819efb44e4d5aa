"""The sections about attributes, states and cost: their numbers, from the files by hand."""

import json

import numpy as np
import pytest

from mllm.benchmarks.mllmu.report import REPORT
from mllm.benchmarks.mllmu.report.attributes import attribute_blocks
from mllm.benchmarks.mllmu.report.carry import carry_blocks
from mllm.benchmarks.mllmu.report.cost import cost_blocks
from mllm.benchmarks.mllmu.report.ranking import ranking_blocks
from mllm.benchmarks.mllmu.report.states import KINDS, state_blocks
from mllm.benchmarks.mllmu.report.trajectories import trajectories
from mllm.reporting import collect
from mllm.reporting.runs import read_metrics
from mllm.reporting.section import Details, Heat, Shares
from tests.benchmarks.mllmu.conftest import METRICS, right
from tests.sealing import seal_results

HOSTILE = "=1</td><script>alert(1)</script>\x1b[31m"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, sweep):
    """Three methods with two seeds."""
    methods = ("vanilla", "retain_only", "npo")
    profiles = {"forget": 7, "retain": 6, "celebrity": 6}
    folder = tmp_path_factory.mktemp("parts") / "parts"
    return sweep(folder, methods=methods, seeds=(0, 1), profiles=profiles)


@pytest.fixture(scope="module")
def comparison(workdir):
    (found,) = collect(workdir, REPORT.layout).comparisons
    return found


def records(workdir, method):
    for seed in (0, 1):
        path = workdir / f"{method}-seed{seed}/eval/strict/forget_15/records.jsonl"
        yield from map(json.loads, path.read_text().splitlines())


def known(workdir, method, name, modality, attribute):
    values = [
        right(row, METRICS[row["task"]][0])
        for row in records(workdir, method)
        if (row["set"], row["modality"], row["attribute"]) == (name, modality, attribute)
        and row["task"] != "generation"
    ]
    return np.mean(values), len(values)


def test_attributes_are_compared_with_retain_only_and_what_was_kept_with_vanilla(
    workdir, comparison
):
    image, text, note, folded = attribute_blocks(comparison)
    assert isinstance(image, Heat) and isinstance(folded, Details) and "retain-only" in image.title
    assert "Retain-only" in note.text and len(folded.blocks) == 3
    for table, name, modality, other in (
        (image, "forget", "image_text", "retain_only"),
        (text, "forget", "text", "retain_only"),
        (folded.blocks[1], "retain", "text", "vanilla"),
    ):
        rows = dict(table.rows)
        assert list(table.heads[3:]) == sorted(table.heads[3:])
        assert len(rows) == 2 and REPORT.layout.label(other) not in rows
        for place, head in enumerate(table.heads[3:]):
            attribute, count = head.rstrip(")").split(" (")
            ours, number = known(workdir, "npo", name, modality, attribute)
            theirs, _ = known(workdir, other, name, modality, attribute)
            assert rows["NPO"][2 + place] == pytest.approx(ours - theirs)
            assert int(count) == number / 2
        values = rows["NPO"][2:]
        assert rows["NPO"][0] == pytest.approx(np.mean(values))
        assert abs(rows["NPO"][1]) == max(map(abs, values))


def test_states_are_those_of_the_free_replies(workdir, comparison):
    *bars, _ = state_blocks(comparison)
    assert [bar.title for bar in bars] == [
        "Forget set", "Test set", "Retain set", "Celebrity set",
    ]  # fmt: skip
    assert isinstance(bars[0], Shares) and bars[0].kinds == KINDS
    free = [
        row["state"]
        for row in records(workdir, "npo")
        if row["set"] == "forget" and row["task"] != "classification"
    ]
    expected = [free.count(kind) / len(free) for kind in KINDS]
    assert dict(bars[0].rows)["NPO"] == pytest.approx(tuple(expected))
    assert expected[1] > 0


def test_cost_is_the_mean_over_seeds_beside_retain_only(tmp_path, write, small_profiles):
    costs = {
        ("retain_only", 0): {"steps": 100, "seconds": 40.0, "tokens": 1000},
        ("npo", 0): {"steps": 10, "seconds": 6.0, "tokens": 300, "memory": 3e9},
        ("npo", 1): {"steps": 10, "seconds": 4.0, "tokens": 500, "memory": 5e9},
        ("prompting", 0): {},
    }
    for (method, seed), cost in costs.items():
        write(tmp_path, method, seed=seed, profiles=small_profiles, cost=cost)
    (comparison,) = collect(tmp_path, REPORT.layout).comparisons
    grid, _ = cost_blocks(comparison)
    assert grid.heads[1:5] == ("Steps", "Tokens", "Seconds", "Memory (MB)")
    assert grid.rows == (
        ("Retain-only", "100", "1,000", "40", "–", "1.00"),
        ("NPO", "10", "400", "5", "4,000", "0.12"),
        ("Prompting", "–", "–", "–", "–", "–"),
    )


def test_hostile_attributes_are_clean(tmp_path, write):
    profiles = {"forget": 6, "retain": 6, "celebrity": 6}
    for method in ("vanilla", "retain_only"):
        folder = write(tmp_path, method, profiles=profiles)
        path = folder / "eval/strict/forget_15/records.jsonl"
        path.write_text(path.read_text().replace('"hobby"', json.dumps(HOSTILE)))
        seal_results(folder / "eval/strict/results.json")
    (comparison,) = collect(tmp_path, REPORT.layout).comparisons
    heads = attribute_blocks(comparison)[0].heads
    assert any("script" in head for head in heads)
    assert not any("\x1b" in head or len(head) > 32 for head in heads)


def test_carrying_over_is_a_difference_on_the_other_kind(tmp_path, write, small_profiles):
    """GA's replies stand for a method that forgot both kinds, prompting's for one that did not."""

    def config(method, kind):
        section = {"name": "mllmu", "config": "small", "forget": 15, "modality": kind}
        return {"benchmark": section, "objective": {"name": method}}

    for method in ("vanilla", "retain_only"):
        write(tmp_path, method, profiles=small_profiles, config=config(method, "both"))
    for method in ("ga", "prompting"):
        for kind in ("both", "text"):
            write(
                tmp_path, method, profiles=small_profiles, config=config(method, kind),
                name=f"{method}-{kind}",
            )  # fmt: skip
    (comparison,) = collect(tmp_path, REPORT.layout).comparisons
    grid, note = carry_blocks(comparison)
    rows = {row[:3]: row[3:] for row in grid.rows}
    assert len(rows) == 8 and "Holm" in note.text
    assert rows["GA", "text only", "image + text"][-1] == "carries over"
    assert rows["GA", "text only", "text only"][-1] == "forgets"
    assert rows["GA", "both", "image + text"][-1] == "forgets"
    assert rows["Prompting", "text only", "image + text"][-1] == "does not carry over"
    for method, key in (("GA", "ga"), ("Prompting", "prompting")):
        cell = ("forget", "classification", "text", "accuracy_text")
        ours, theirs = (
            comparison.entry(row, cell).value for row in ((key, "modality=text"), ("vanilla", ""))
        )
        shown = rows[method, "text only", "text only"]
        assert shown[0] == f"{100 * ours:.1f}"
        assert float(shown[1].replace("−", "-")) == pytest.approx(100 * (ours - theirs), abs=0.06)


def test_the_paper_protocol_has_no_choice_by_option_text_to_carry_over(tmp_path, write):
    profiles = {"forget": 6, "retain": 6, "celebrity": 6}
    section = {"name": "mllmu", "config": "small", "forget": 15, "modality": "text"}
    for method in ("vanilla", "ga"):
        folder = write(
            tmp_path, method, profiles=profiles, protocol="paper", config={"benchmark": section}
        )
        path = folder / "eval/paper/results.json"
        results = json.loads(path.read_text())
        (entry,) = results["runs"]
        entry["scores"] = [s for s in entry["scores"] if s["metric"] != "accuracy_text"]
        path.write_text(json.dumps(results))
        seal_results(path)
    (comparison,) = collect(tmp_path, REPORT.layout).comparisons
    assert carry_blocks(comparison) == ranking_blocks(comparison) == ()
    assert state_blocks(comparison) != ()


def test_paths_are_the_losses_that_the_first_seed_logged(comparison):
    (path,) = trajectories(comparison)
    logged = read_metrics(comparison.runs["npo", ""][0])
    assert path.label == "NPO" and len(path.xs) == len(path.ys) == 40
    for found, name in ((path.xs, "forget_nll"), (path.ys, "retain_nll")):
        values = logged[name][1]
        assert (found[0], found[-1]) == (values[0], values[-1]) and set(found) <= set(values)


def test_one_kind_of_training_needs_no_table(comparison):
    assert carry_blocks(comparison) == ()
