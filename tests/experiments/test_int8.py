"""What int8 weights, and keys and values in 8 bits, change in the scores of a run."""

import json

import pytest

from mllm.benchmarks.mllmu import study
from mllm.benchmarks.mllmu.scores import score_replies
from mllm.files import file_digest, read_jsonl, seal
from mllm.reporting.collect import collect
from mllm.studies.train import ensure
from tests.experiments.micro import get_config as micro_config

FOLDERS = ("strict", "strict-int8")


@pytest.mark.slow
def test_int8_results_are_kept_next_to_the_float_ones_and_compared(
    commands, micro, data_dir, tmp_path
):
    config = micro_config()
    config.benchmark.data_dir = str(data_dir)
    benchmark = study.open_benchmark(config)
    run = ensure("base", config, tmp_path, study, benchmark).folder
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
    paths = {name: run / "eval" / name / "forget_15/records.jsonl" for name in FOLDERS}
    float_records, int8_records = (read_jsonl(path) for path in paths.values())
    asked = [record for record in float_records if record["option_logprobs"]]
    by_key = {record["key"]: record for record in int8_records}
    assert all(r["option_logprobs"] != by_key[r["key"]]["option_logprobs"] for r in asked)
    # Replies that were right in float, so that there is something to tell.
    scored = {path: path.read_bytes() for path in paths["strict"].parent.glob("*.json*")}
    for record in float_records:
        if record["set"] == "forget" and record["task"] == "cloze":
            record["reply"] = record["gold"]
    paths["strict"].write_text("".join(json.dumps(record) + "\n" for record in float_records))
    assert f"error: {paths['strict']}: it or scores.json was changed" in commands.refused(*int8)
    scored_in = paths["strict"].with_name("scores.json")
    entry = json.loads(scored_in.read_text())
    entry["made_from"]["records.jsonl"] = file_digest(paths["strict"])
    scored_in.write_text(json.dumps(seal(entry)))

    done = commands.run(*int8)
    assert done.returncode == 0, done.stderr
    _, told = done.stdout.split("int8 less the weights as saved, in points:\n")
    scores = {
        name: {
            (score["set"], score["task"], score["modality"], score["metric"]): score["value"]
            for score in score_replies(read_jsonl(path))
        }
        for name, path in paths.items()
    }
    assert scores["strict"]["forget", "cloze", "text", "exact"] == 1
    assert scores["strict-int8"]["forget", "cloze", "text", "exact"] < 1
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
    for path, content in scored.items():
        path.write_bytes(content)
    sweep = collect(tmp_path)
    assert [one.protocol for one in sweep.runs] == ["strict"]
    assert [one.protocol for one in sweep.others] == ["strict-int8"]
    assert not sweep.problems

    kept = ("--config.evaluation.kv=fp8",)
    message = commands.refused(*evaluate, "--config.evaluation.kv=int4")
    assert "int4" in message and "config.evaluation.kv" in message
    done = commands.run(*evaluate, *kept)
    assert done.returncode == 0, done.stderr
    _, told = done.stdout.split("keys and values in fp8 less those as computed, in points:\n")
    assert {tuple(line.split()[:4]) for line in told.splitlines()} == {
        cell for cell in scores["strict"] if cell[3] in headline
    }
    done = commands.run(*int8, *kept)
    assert done.returncode == 0, done.stderr
    assert "keys and values in fp8 and weights in int8 less the model as saved" in done.stdout
    expected = read_jsonl(run / "eval/strict-fp8kv/forget_15/records.jsonl")
    found = read_jsonl(run / "eval/strict-int8-fp8kv/forget_15/records.jsonl")
    for records in (expected, found):
        by_key = {record["key"]: record for record in records}
        assert all(r["option_logprobs"] != by_key[r["key"]]["option_logprobs"] for r in asked)
    assert expected != found
    assert (run / "eval/strict/results.json").read_bytes() == plain
