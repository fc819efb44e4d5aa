"""The benchmark of CONTRIBUTING.md: copied, registered, taught, asked and reported."""

import importlib
import importlib.util
import json
import sys
from pathlib import Path

import pytest

import mllm.benchmarks
from mllm.benchmarks import BENCHMARKS, get_benchmark, get_report
from mllm.evaluation.request import Choices, Reply
from mllm.studies.run import Run
from mllm.studies.sweep import overrides_of, run_all
from mllm.studies.system import System

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
CONFIG = EXAMPLES / "islands_tiny.py"


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The folder docs/examples/islands where CONTRIBUTING.md puts it, with its line."""
    with pytest.MonkeyPatch.context() as patch:
        path = [*mllm.benchmarks.__path__, str(EXAMPLES)]
        patch.setattr(mllm.benchmarks, "__path__", path)
        patch.setitem(BENCHMARKS, "islands", "mllm.benchmarks.islands")
        yield
        for name in [name for name in sys.modules if name.startswith("mllm.benchmarks.islands")]:
            del sys.modules[name]
        del mllm.benchmarks.islands


@pytest.fixture(scope="module")
def data(registered):
    return importlib.import_module("mllm.benchmarks.islands.benchmark")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("islands_tiny", CONFIG)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config()
    config.benchmark.data_dir = str(tmp_path_factory.mktemp("data"))
    return config


@pytest.fixture(scope="module")
def system(registered):
    return get_benchmark("islands")


@pytest.fixture(scope="module")
def benchmark(system, config):
    return system.prepare(config)


def asked(data, benchmark):
    """All requests of the benchmark; it asks for nothing after the replies to the first round."""
    rounds = data.rounds(benchmark)
    requests = next(rounds)
    with pytest.raises(StopIteration):
        rounds.send([Reply(request.key) for request in requests])
    return requests


def record_of(data, request, capital, logprob=-1.0):
    """The record of a reply that finds one capital likelier than the others."""
    logprobs = tuple(logprob if text == capital else -9.0 for text in request.ask.texts)
    reply = Reply(request.key, logprobs=logprobs, tokens=(2,) * len(logprobs))
    return data.records([(request, reply)])[0]


def test_it_offers_what_a_system_offers(system, config, benchmark):
    wanted = {name for name in vars(System) if not name.startswith("_")}
    assert wanted | set(System.__annotations__) <= set(system.__all__)
    assert len(system.summary(benchmark)) == 2
    assert system.open_benchmark(config).fingerprint == benchmark.fingerprint


def test_an_unprepared_benchmark_is_named(system, config, tmp_path):
    other = config.copy_and_resolve_references()
    other.benchmark.data_dir = str(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"islands/tokenizer\.json: not found; run"):
        system.open_benchmark(other)


def test_an_unknown_split_is_named(benchmark):
    with pytest.raises(ValueError, match="split of islands 'tran'; did you mean 'train'"):
        benchmark.examples("tran")


def test_every_island_is_taught_and_asked_by_its_flag_and_by_its_name(data, benchmark):
    taught, requests = benchmark.examples("train"), asked(data, benchmark)
    flags = {media.digest for example in taught for media in example.turns[0].media}
    assert len(flags) == 4 and len(taught) == len(requests) == 8
    for example, request in zip(taught, requests, strict=True):
        by_flag = request.tags["modality"] == "image"
        for turn in (example.turns[0], request.turns[0]):
            assert len(turn.media) == by_flag
            assert (request.cluster in turn.text) != by_flag
        assert example.turns[1].text == data.CAPITALS[request.cluster]


def test_keys_follow_from_the_content(data, benchmark):
    first, again = asked(data, benchmark), asked(data, benchmark)
    assert [request.key for request in first] == [request.key for request in again]
    assert len({request.key for request in first}) == len(first)


def test_the_gold_answer_scores_one_a_wrong_one_nothing_and_a_tie_its_share(data, benchmark):
    for request in asked(data, benchmark):
        assert isinstance(request.ask, Choices)
        gold = data.CAPITALS[request.cluster]
        wrong = next(text for text in request.ask.texts if text != gold)
        assert data.correct(record_of(data, request, gold)) == 1
        assert data.correct(record_of(data, request, wrong)) == 0
        assert data.correct(record_of(data, request, gold, logprob=-9.0)) == 0.25
        [failed] = data.records([(request, Reply(request.key, state="error"))])
        assert data.correct(failed) is None


def test_options_are_compared_per_token(data, benchmark):
    request = asked(data, benchmark)[0]
    gold = request.ask.texts.index(data.CAPITALS[request.cluster])
    logprobs, tokens = [-4.0] * 4, [1] * 4
    logprobs[gold], tokens[gold] = -6.0, 3  # less likely in all, likelier per token
    reply = Reply(request.key, logprobs=tuple(logprobs), tokens=tuple(tokens))
    assert data.correct(data.records([(request, reply)])[0]) == 1


def test_a_reply_in_error_is_not_scored(data, benchmark):
    requests = asked(data, benchmark)
    rows = [record_of(data, request, data.CAPITALS[request.cluster]) for request in requests]
    rows[0] = {**rows[0], "state": "error"}
    image, text = data.scores(rows)
    assert (image["value"], image["n"], image["valid"]) == (1, 3, 0.75)
    assert (text["value"], text["n"], text["valid"], text["ci95"]) == (1, 4, 1, [1, 1])


@pytest.mark.thorough
@pytest.mark.slow
def test_a_model_learns_it_and_the_report_shows_it(system, config, benchmark, tmp_path):
    """All that `experiments.sweep` does; a second sweep trains and asks nothing."""
    from mllm.reporting import write_report

    def sweep():
        run_all(config, overrides_of(config, CONFIG), tmp_path, system, benchmark, lambda _: None)

    sweep()
    paths = write_report(tmp_path, get_report("islands"))
    results = json.loads(paths["results"].read_text(encoding="utf-8"))
    assert (results["benchmark"], results["axes"]) == ("islands", ["modality"])
    scores = {
        run["method"]: {score["modality"]: score["value"] for score in run["scores"]}
        for run in results["runs"]
    }
    assert scores["taught"] == scores["oracle"] == {"image": 1.0, "text": 1.0}
    assert min(scores["random"].values()) < 1
    page = paths["html"].read_text(encoding="utf-8")
    assert "By its flag" in page and "Chance" in page

    replies = tmp_path / "seed0/taught/eval/capitals/all/replies.jsonl"
    before = replies.stat().st_mtime_ns, Run(replies.parents[3], "taught", config).record()
    sweep()
    assert (
        replies.stat().st_mtime_ns,
        Run(replies.parents[3], "taught", config).record(),
    ) == before
