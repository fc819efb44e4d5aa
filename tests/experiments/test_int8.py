"""What int8 weights change in the scores of a run, by the command."""

import pytest

from experiments import stages, study
from mllm.files import read_json
from mllm.reporting.collect import collect
from tests.experiments.micro import get_config as micro_config


@pytest.mark.slow
def test_int8_results_lie_beside_the_float_ones_and_are_compared(
    commands, micro, data_dir, tmp_path
):
    config = micro_config()
    config.benchmark.data_dir = str(data_dir)
    benchmark = stages.open_benchmark(config)
    run = study.ensure("base", config, tmp_path, benchmark).folder
    evaluate = ("evaluate", *micro, "--checkpoint", run)
    int8 = (*evaluate, "--config.evaluation.weights=int8")

    done = commands.run(*int8)
    assert done.returncode == 0, done.stderr
    assert "no float evaluation to compare with: run experiments.evaluate" in done.stdout
    assert not (run / "eval" / "strict").exists()
    message = commands.refused(*evaluate, "--config.evaluation.weights=int4")
    assert "int4" in message and "config.evaluation.weights" in message
    done = commands.run(*evaluate)
    assert done.returncode == 0, done.stderr
    assert "in points" not in done.stdout
    plain = (run / "eval/strict/results.json").read_bytes()

    done = commands.run(*int8)
    assert done.returncode == 0, done.stderr
    _, told = done.stdout.split("int8 less the weights as saved, in points:\n")
    scores = {
        name: {
            (score["set"], score["task"], score["modality"], score["metric"]): score["value"]
            for score in read_json(run / "eval" / name / "results.json")["runs"][0]["scores"]
        }
        for name in ("strict", "strict-int8")
    }
    headline = {"accuracy_text", "exact", "rougeL"}
    lines = [line.split() for line in told.splitlines()]
    assert {tuple(line[:4]) for line in lines} == {
        cell for cell in scores["strict"] if cell[3] in headline
    }
    for line in lines:
        cell = tuple(line[:4])
        expected = 100 * (scores["strict-int8"][cell] - scores["strict"][cell])
        assert abs(float(line[4]) - expected) < 0.051

    assert (run / "eval/strict/results.json").read_bytes() == plain
    sweep = collect(tmp_path)
    assert [one.protocol for one in sweep.runs] == ["strict"]
    assert [one.protocol for one in sweep.others] == ["strict-int8"]
    assert not sweep.problems
