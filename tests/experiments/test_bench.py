"""The benchmark computes the same as its peer, and its ratios are those of its figures."""

import json

import pytest

from configs.bench import llava7b
from experiments import bench
from experiments.measure import _beside


def test_a_ratio_is_ours_over_the_peers():
    line = _beside({"work": "x", "ours": 12.0}, (3.0, "batch 4"))
    assert line["ratio"] == 4.0 and line["peer_setting"] == "batch 4"
    assert _beside({"work": "x", "ours": 12.0}, None)["ratio"] is None


@pytest.mark.slow
def test_the_tiny_benchmark_is_equal_to_its_peer_and_complete(data_dir, tmp_path, capsys):
    config = llava7b.get_config("tiny")
    config.benchmark.data_dir = str(data_dir)
    result = json.loads(json.dumps(bench.measure(config, repeats=1)))
    assert result["equal"]["logits"] < 1e-3 and result["equal"]["scores"] < 1e-3
    assert result["equal"]["share of unlike replies"] == 0
    work = [line["work"] for line in result["lines"]]
    assert len(work) == len(set(work)) == 11
    for line in result["lines"]:
        assert line["ours"] > 0 and line["least"] <= line["ours"] <= line["most"]
        assert (line["peer"] is None) == line["work"].startswith("kl_min")
        if line["peer"] is not None:
            assert line["ratio"] == pytest.approx(line["ours"] / line["peer"])
    bench.show(result)
    assert "greedy decoding, batch 4" in capsys.readouterr().out
