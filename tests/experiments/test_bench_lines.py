"""Which lines a call of the benchmark measures, how calls are merged, and what a trace says."""

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from configs.bench import llava7b
from experiments.bench import limits, results, show
from experiments.bench.lines import SETUP, Budget, budget_of, lines_of, select
from experiments.bench.trace import summary, traced

LINES = lines_of(SimpleNamespace(lines=(("ga_pictures", 10, 20), ("choices", 5, 7))))


def figure(rate: float, call: int = 0) -> dict:
    spread = {"least": rate, "most": rate, "setting": "x", "memory": None, "first": 1.0}
    return {"rate": rate, **spread, "call": call}


def test_sides_and_lines_are_chosen_by_name():
    everything = [(name, side) for name in LINES for side in ("peer", "ours")]
    assert select(LINES, []) == everything
    assert select(LINES, ["ours"]) == everything[1::2]
    assert select(LINES, ["choices"]) == everything[2:]
    assert select(LINES, ["peer", "choices"]) == everything[2:3]
    alone = lines_of(SimpleNamespace(lines=(("kl_min_single", 1, None),)))
    assert select(alone, []) == [("kl_min_single", "ours")]


def test_an_unknown_line_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"--only.*'choises'; did you mean 'choices'"):
        select(LINES, ["ours", "choises"])
    with pytest.raises(ValueError, match=r"config\.bench\.lines: 'ga_rows'"):
        lines_of(SimpleNamespace(lines=(("ga_rows", 1, 1),)))


def test_a_name_says_what_is_measured():
    found = lines_of(
        SimpleNamespace(lines=(("decoding_64_int8", 1, None), ("kl_min_single", 1, 2)))
    )
    decoding, single = found.values()
    assert (decoding.kind, decoding.arguments) == ("decoding", ("64", "int8"))
    assert decoding.work == "greedy decoding, batch 64, keys and values in int8"
    assert (single.kind, single.arguments) == ("training", ("kl_min", "single"))
    assert (single.work, single.unit) == ("kl_min, a pair per row", "pairs/s")


def test_a_piece_is_begun_if_it_and_the_more_valuable_ones_fit():
    now = [0.0]
    pieces = {("a", "peer"): 10.0, ("a", "ours"): 20.0, ("b", "peer"): 30.0, ("b", "ours"): 5.0}
    budget = Budget(60.0, pieces, clock=lambda: now[0])
    assert budget.allows(("a", "peer"))
    budget.took(("a", "peer"), 10.0)
    now[0] = 10.0
    # b of the peer would leave too little for ours of a, which is worth more.
    assert budget.needed(("b", "peer")) == 50.0 and budget.allows(("b", "peer"))
    now[0] = 11.0
    assert not budget.allows(("b", "peer"))
    budget.took(("a", "ours"), 40.0)  # twice what was expected
    now[0] = 51.0
    assert budget.needed(("b", "ours")) == pytest.approx(5.0 * 50 / 30)
    assert budget.allows(("b", "ours"))
    now[0] = 52.0
    assert not budget.allows(("b", "ours"))
    assert Budget(None, pieces).allows(("b", "ours"))


def test_the_set_up_of_a_side_counts_where_something_of_it_is_measured():
    bench = SimpleNamespace(setup={"ours": 3, "peer": 4})
    found = budget_of(None, bench, LINES, [("choices", "ours")]).expected
    assert found == {(SETUP, "ours"): 3.0, ("choices", "ours"): 5.0}


def test_two_calls_of_fifteen_minutes_in_all_measure_every_line_but_the_last():
    bench = llava7b.get_config().bench
    lines = lines_of(bench)
    budget = budget_of(540.0, bench, lines, select(lines, []))
    *table, last = lines
    first = table.index("attention")
    table, rest = table[:first], table[first:]
    for name in table:
        assert all(budget.needed((name, side)) <= 540 for side in lines[name].seconds)
    assert last == "evaluation_paper"
    pieces = select(lines, rest)
    assert sum(budget_of(None, bench, lines, pieces).expected.values()) <= 300


@pytest.fixture
def config():
    return llava7b.get_config("tiny")


def test_figures_of_another_call_are_merged_and_marked(config, tmp_path):
    earlier = results.new_result(config, LINES)
    earlier["lines"]["ga_pictures"] = {"ours": figure(8.0), "peer": figure(2.0)}
    earlier["lines"]["choices"]["peer"] = figure(3.0)
    file = tmp_path / "earlier.json"
    file.write_text(json.dumps(earlier))
    now = results.new_result(config, LINES)
    now["lines"]["choices"]["ours"] = figure(9.0)
    now["lines"]["ga_pictures"]["ours"] = figure(10.0)
    results.merge(now, file)
    ga, choices = now["lines"]["ga_pictures"], now["lines"]["choices"]
    assert ga["ours"]["rate"] == 10.0  # what was measured here stays
    assert (ga["peer"]["call"], choices["peer"]["call"]) == (1, 1) and len(now["calls"]) == 2
    assert results.ratio(choices) == 3.0 and results.apart(choices)
    assert show.ratio_text(choices) == "3.0*" and show.ratio_text(ga) == "5.0*"
    assert show.ratio_text({"ours": figure(4.0, 1), "peer": figure(2.0, 1)}) == "2.0"
    assert show.ratio_text({"ours": figure(4.0), "peer": None}) == "-"


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.update(code="another"), "code (found another of commit "),
        (lambda c: c["environment"].update(device="H200"), "device (found 'H200', here 'cpu')"),
        (lambda c: c["environment"].update(jax="0.0.1"), "jax (found '0.0.1', here "),
    ],
)
def test_a_result_of_another_device_code_or_version_is_not_merged(
    config, tmp_path, change, message
):
    earlier = results.new_result(config, LINES)
    change(earlier["calls"][0])
    file = tmp_path / "earlier.json"
    file.write_text(json.dumps(earlier))
    with pytest.raises(ValueError) as error:
        results.merge(results.new_result(config, LINES), file)
    assert str(file) in str(error.value) and message in str(error.value)


def test_other_work_and_other_files_are_not_merged(config, tmp_path):
    earlier = results.new_result(config, LINES)
    file = tmp_path / "earlier.json"
    file.write_text(json.dumps(earlier))
    config.benchmark.data_dir = "/elsewhere"  # the data are the same wherever they lie
    results.merge(results.new_result(config, LINES), file)
    config.bench.pairs += 1
    with pytest.raises(ValueError, match="configuration"):
        results.merge(results.new_result(config, LINES), file)
    file.write_text("{}")
    with pytest.raises(ValueError, match=r"--out wrote"):
        results.merge(earlier, file)
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        results.merge(earlier, tmp_path / "nothing.json")


def test_versions_of_the_peer_must_agree():
    calls = [{"peer": {"torch": "2"}}, {"peer": None}, {"peer": {"torch": "3"}}]
    results.require_same_peer({"calls": calls[:2]})
    with pytest.raises(ValueError, match=r"torch of the peer \(found 3, here 2\)"):
        results.require_same_peer({"calls": calls})


def test_the_limit_of_64_rows_follows_from_bytes_and_products():
    """LLaVA-1.5-7B on the H100 of docs/performance.md: 64 rows of 644 tokens and 50 new ones."""
    layer = 4 * 4096**2 + 3 * 4096 * 11008
    parameters = 32 * layer + 2 * 32064 * 4096
    per_token = limits.cache_bytes(layers=32, kv_heads=32, each=256)
    assert per_token == 524_288
    machine = limits.Machine("H100", flops=741e12, bytes=2.27e12)
    sizes = {"rows": 64, "prompt": 644, "new": 50}
    reading, writing = limits.decoding(machine, parameters, 2 * parameters, per_token, **sizes)
    assert reading == pytest.approx(64 * 644 * 2 * 6.74e9 / 741e12, rel=1e-3)
    assert writing == pytest.approx(50 * (13.48e9 + 64 * 669 * 524_288) / 2.27e12, rel=1e-3)
    assert 64 * 50 / (reading + writing) / 953 == pytest.approx(2.2, abs=0.05)


PROGRAM = """
%fused_select (p: f32[8]) -> f32[8] {
  ROOT %select.1 = f32[8]{0} select(%p, %p), metadata={op_name="jit(step)/attention/select_n"}
}

%fused_dot (p: f32[8,8]) -> f32[8,8] {
  %convert.2 = f32[8,8]{1,0} convert(%p), metadata={op_name="jit(step)/attention/convert"}
  ROOT %dot.2 = f32[8,8]{1,0} dot(%p, %p), metadata={op_name="jit(step)/up/dot_general"}
}

ENTRY %main (p: f32[8]) -> f32[8] {
  %loop_select_fusion.3 = f32[8]{0} fusion(%p), kind=kLoop, calls=%fused_select
  %fusion.7 = f32[8,8]{1,0} fusion(%p), kind=kLoop, calls=%fused_dot
  ROOT %add.1 = f32[8]{0} add(%p, %p), metadata={op_name="jit(step)/attention_norm/add"}
}
"""


def test_the_kernels_of_a_gpu_are_sorted_by_what_they_do():
    names = {"process_name": "/device:GPU:0", "thread_name": "Stream #7(Compute)"}
    events = [
        {"ph": "M", "pid": 1, "tid": 2, "name": key, "args": {"name": value}}
        for key, value in names.items()
    ]
    kernels = [
        ("nvjet_sm90_tst", 0, 400),
        ("loop_select_fusion_3", 400, 200),
        ("fusion_7", 600, 100),
        ("add_1", 700, 100),
        ("cudnn_generated_fort_native_sdpa_sm90", 900, 200),
    ]
    events += [
        {"ph": "X", "pid": 1, "tid": 2, "name": name, "ts": start, "dur": duration}
        for name, start, duration in kernels
    ]
    events += [
        {"ph": "X", "pid": 1, "tid": 3, "name": "a step", "ts": 0, "dur": 5000},
        {"ph": "X", "pid": 9, "tid": 2, "name": "python", "ts": 0, "dur": 5000},
    ]
    found = summary(events, PROGRAM)
    assert found["busy_ms"] == 1.0 and found["span_ms"] == 1.1
    assert found["shares"] == pytest.approx({"products": 0.5, "attention": 0.4, "rest": 0.1})
    first = {"name": "nvjet_sm90_tst", "ms": 0.4, "count": 1, "kind": "products"}
    assert found["kernels"][0] == first
    by_name = summary(events)
    assert by_name["shares"] == pytest.approx({"products": 0.4, "attention": 0.2, "rest": 0.4})
    assert by_name["by_name"] and not found["by_name"]


def test_a_trace_without_kernels_says_what_is_missing():
    assert (
        "no kernels of a GPU"
        in summary([{"ph": "X", "pid": 1, "name": "python", "ts": 0}])["missing"]
    )


@pytest.mark.slow
def test_a_call_is_traced_on_a_cpu(tmp_path):
    def step(a):
        with jax.named_scope("attention"):
            scores = jax.nn.softmax(a @ a)
        return scores @ jnp.sin(a)

    compiled = jax.jit(step).lower(jnp.ones((256, 256))).compile()
    found = traced(lambda: compiled(jnp.ones((256, 256))), Path(tmp_path), compiled.as_text())
    assert found["busy_ms"] > 0 and sum(found["shares"].values()) == pytest.approx(1)
    assert found["shares"]["attention"] > 0 and found["shares"]["products"] > 0
    assert {"products", "attention"} <= {kernel["kind"] for kernel in found["kernels"]}
