"""The benchmark computes the same as its peer, gives both the same work, and its ratios are those
of its figures.
"""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from configs.bench import llava7b
from experiments.bench import __main__ as bench
from experiments.bench import peer
from experiments.bench.lines import Budget, budget_of, lines_of, select
from experiments.bench.measure import Ours, compare
from experiments.bench.results import new_result
from experiments.bench.show import progress
from experiments.bench.workload import Figure, Workload, timed
from mllm.benchmarks.mllmu.study import open_benchmark
from mllm.checkpoints.hf_folder import write_folder
from mllm.ops.attention import IMPLEMENTATIONS
from mllm.parallel.mesh import one_device
from mllm.studies.start import fresh_model
from tests.test_imports import imported

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config(data_dir):
    config = llava7b.get_config("tiny")
    config.benchmark.data_dir = str(data_dir)
    return config


@pytest.fixture(scope="module")
def loaded(config):
    return fresh_model(config, open_benchmark(config), one_device())


@pytest.fixture(scope="module")
def work(config, loaded):
    return Workload(config, replace(loaded, variables={}), open_benchmark(config))


@pytest.fixture(scope="module")
def other(loaded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "peer"
    write_folder(folder, loaded)
    return peer.Peer(folder, "float32")


def test_the_first_call_is_not_timed_and_each_is_waited_for(monkeypatch):
    ends = iter([0.0, 100.0, 200.0, 202.0, 300.0, 301.0, 400.0, 404.0])
    monkeypatch.setattr("experiments.bench.workload.time.perf_counter", lambda: next(ends))
    calls, waited = iter("abcd"), []
    found = timed(lambda: next(calls), waited.append, units=8, repeats=3)
    assert found == Figure(4.0, 2.0, 8.0, first=100.0) and waited == list("abcd")


def test_rows_are_pairs_of_the_given_length_about_one_picture(work):
    for pairs, tokens in ((3, 24), (1, 40)):
        rows = work.rows(5, pairs, tokens)
        assert len(rows) == 5
        for row in rows:
            assert len(row) == pairs and {e.length for e in row} == {tokens}
            assert len({(e.image, e.prefix) for e in row}) == 1
    indices = [row[0].index for row in work.rows(5, 1, 40)]
    assert len(set(indices)) == 5


@pytest.mark.slow
def test_our_code_equals_the_peer_and_a_difference_is_named(work, loaded, other):
    answers = peer.answers(other, work)
    found = compare(work, loaded, answers)
    assert set(found) == set(answers) == {"logits", "scores", "loss", "replies"}
    for name in ("logits", "scores", "loss"):
        wrong = {**answers, name: answers[name] * np.float32(1.001)}
        with pytest.raises(ValueError, match=name):
            compare(work, loaded, wrong)
    wrong = {**answers, "replies": [ids + 1 for ids in answers["replies"]]}
    with pytest.raises(ValueError, match="replies"):
        compare(work, loaded, wrong)


@pytest.mark.slow
def test_the_peer_is_unchanged_after_its_training(work, other):
    before = {name: value.clone() for name, value in other.model.state_dict().items()}
    with other.trainer("npo", 4, checkpointing=True) as step:
        first, *_, last = (step(*work.for_peer(work.compared)) for _ in range(30))
        assert last < first
    after = other.model.state_dict()
    assert set(after) == set(before) and all(after[n].equal(before[n]) for n in before)


def test_torch_is_imported_where_it_is_compared_with_alone():
    files = (ROOT / "experiments").rglob("*.py")
    torch = {"torch", "transformers", "peft"}
    found = {p.name for p in files if {n.split(".")[0] for n in imported(p)} & torch}
    assert found == {"peer.py", "verify.py"}


def config_of(name: str):
    return SimpleNamespace(lines=((name, 1, None),))


def measured(config, only: list[str], *, equal: bool = True) -> list[dict]:
    lines = lines_of(config.bench)
    pieces = select(lines, only)
    budget, result = budget_of(None, config.bench, lines, pieces), new_result(config, lines)
    found = bench.measure(config, result, pieces, budget, 1, equal=equal)
    return [json.loads(json.dumps(result)) for result in found]


@pytest.mark.slow
def test_a_line_is_there_as_soon_as_it_is_measured(config, capsys):
    first, second = measured(config, ["ga_single"], equal=False)
    assert first["lines"]["ga_single"]["ours"] is None and first["lines"]["ga_single"]["peer"]
    assert second["equal"] is None and second["calls"][0]["machine"]["device"] == "cpu"
    ours = second["lines"]["ga_single"]["ours"]
    assert ours["rate"] == pytest.approx(ours["share"] * ours["limit"])
    assert ours["compiled"]["programs"] > 0 and ours["first"] > 0
    bench.show(second)
    said = capsys.readouterr().out
    assert "equal: not checked" in said and "unmeasured" in said
    assert said.index("ga, a pair per row, peer: ") < said.index("ga, a pair per row, ours: ")


def test_each_implementation_of_attention_is_timed_or_says_why_not(work, loaded, monkeypatch):
    def wrong(q, k, v, structure, *, window=None):
        return 1.01 * IMPLEMENTATIONS["xla"](q, k, v, structure, window=window)

    def refuses(q, k, v, structure, *, window=None):
        raise NotImplementedError("not on this device\nsecond line")

    for name, kernel in {"wrong": wrong, "refuses": refuses}.items():
        monkeypatch.setitem(IMPLEMENTATIONS, name, kernel)
    found = Ours(work, loaded, 1).measure(lines_of(config_of("attention"))["attention"])
    assert found["setting"] == "xla" and found["each"]["xla"]["difference"] == 0
    assert found["each"]["refuses"]["error"] == "NotImplementedError: not on this device"
    assert "differs from xla by 0.0" in found["each"]["wrong"]["error"]
    assert "xla: " in progress("attention", "ours", found)


def test_a_line_that_fails_does_not_take_the_others_with_it(config, capsys):
    lines = lines_of(config.bench)
    result, budget = new_result(config, lines), Budget(None, {("choices", "ours"): 1.0})

    def fails():
        raise RuntimeError("out of memory\nand more")

    (found,) = bench.measure_piece(result, budget, ("choices", "ours"), fails)
    assert found["lines"]["choices"]["failed"] == {"ours": "RuntimeError: out of memory"}
    assert [name for name, _ in bench.failing(found)] == ["choices"]
    bench.show(found)
    assert "failed" in capsys.readouterr().out and ("choices", "ours") in budget.taken


def test_lines_that_do_not_fit_are_not_begun(config, capsys):
    lines = lines_of(config.bench)
    pieces, result = select(lines, ["ours"]), new_result(config, lines)
    budget = budget_of(0.1, config.bench, lines, pieces)
    assert not list(bench.measure(config, result, pieces, budget, 1))
    assert "setup, ours: not measured" in capsys.readouterr().out


@pytest.mark.slow
def test_the_tiny_benchmark_is_complete(config, capsys):
    *_, result = measured(config, [])
    lines = result["lines"]
    assert list(lines) == [name for name, *_ in config.bench.lines] and result["equal"]
    for name, line in lines.items():
        for figure in filter(None, line.values()):
            assert 0 < figure["least"] <= figure["rate"] <= figure["most"]
        alone = name.startswith(("kl_min", "attention")) or name.endswith("int8")
        assert line["ours"] and (line["peer"] is None) == alone
    bench.show(result)
    said = capsys.readouterr().out
    assert "multiple choice" in said and "unmeasured" not in said
