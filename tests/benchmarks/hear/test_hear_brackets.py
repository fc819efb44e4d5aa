"""What brackets a model: the oracle knows all, and what hears nothing is at chance."""

import random
from collections import Counter
from statistics import fmean

import pytest
from toy_clips import LEAVES, ONTOLOGY, asked, toy_benchmark, toy_clip

from mllm.benchmarks.hear import brackets
from mllm.benchmarks.hear.protocol import Protocol, rounds
from mllm.benchmarks.hear.records import records_of
from mllm.benchmarks.hear.relations import RELATIONS
from mllm.benchmarks.hear.scores import AXES, scores_of
from mllm.benchmarks.hear.summary import summary
from mllm.evaluation.request import Choices, Reply

BENCHMARK = toy_benchmark(each=5)
PROTOCOL = Protocol(per_label=0, validation=18, generated=True)


def scores(answerer, benchmark=BENCHMARK):
    pairs = asked(rounds(benchmark, PROTOCOL), answerer)
    records = records_of(pairs, ONTOLOGY, benchmark.rare)
    return {tuple(s[n] for n in (*AXES, "metric")): s["value"] for s in scores_of(records)}


def of(found, metric, *tasks):
    """Return the values of a metric by cell, without differences and shuffled captions."""
    return {
        cell: value
        for cell, value in found.items()
        if cell[3] == metric and cell[2] != "shuffled" and (not tasks or cell[0] in tasks)
    }


def test_the_oracle_is_right_in_every_condition():
    found = scores(brackets.oracle(BENCHMARK))
    for metric in ("accuracy", "balanced_accuracy", "auc", "map", "f1", "recall", "consistency"):
        cells = of(found, metric)
        assert cells and set(cells.values()) == {1.0}, metric
    conditions = {cell[2] for cell in of(found, "accuracy", "relations", "relations_generated")}
    assert conditions == {"T", "A", "AT", "C", "R"}
    assert set(of(found, "yes_rate").values()) == {0.5}
    assert set(of(found, "unchanged").values()) == {0.0}
    assert set(of(found, "gap").values()) == {0.0}


def test_always_yes_has_no_sensitivity_in_any_condition():
    found = scores(brackets.always_yes(BENCHMARK))
    assert set(of(found, "balanced_accuracy").values()) == {0.5}
    assert set(of(found, "d_prime").values()) == {0.0}
    assert set(of(found, "auc").values()) == {0.5}
    assert set(of(found, "yes_rate").values()) == {1.0}
    assert set(of(found, "unchanged").values()) == {1.0}
    assert found["direct", "all", "plain", "accuracy"] == pytest.approx(
        fmean(len(clip.tags) / len(LEAVES) for clip in BENCHMARK.clips("test"))
    )


def test_whoever_hears_nothing_is_exactly_at_chance_whatever_the_words_say():
    class Words:
        """Decides by the text alone, by lot."""

        def answer(self, requests, done):
            yield [self._reply(request) for request in requests]

        def _reply(self, request):
            said = "".join(turn.text for turn in request.turns)
            rng = random.Random(said)
            if not isinstance(request.ask, Choices):
                return Reply(request.key, text=rng.choice(["yes", "no"]))
            logs = tuple(rng.gauss(-9, 3) for _ in request.ask.texts)
            return Reply(request.key, logprobs=logs, tokens=(1,) * len(logs))

    found = scores(Words())
    for relation in ("all", *RELATIONS):
        for task in ("relations", "relations_generated"):
            assert found[task, relation, "A", "accuracy"] == 0.5
            assert found[task, relation, "R", "accuracy"] == 0.5
            assert found[task, relation, "R", "unchanged"] == 1.0
    assert found["relations", "all", "A", "d_prime"] == 0


def test_guesses_are_at_chance_and_follow_the_seed():
    found = scores(brackets.guessing(BENCHMARK, 0))
    for cell, value in of(found, "balanced_accuracy").items():
        assert abs(value - 0.5) < (0.1 if cell[1] == "all" else 0.25), cell
    assert found["direct", "all", "plain", "accuracy"] == pytest.approx(1 / len(LEAVES), abs=0.2)
    (request, *_) = next(rounds(BENCHMARK, PROTOCOL))
    said = {
        next(brackets.guessing(BENCHMARK, n).answer([request], set()))[0].text for n in range(9)
    }
    assert len(said) > 2


def test_the_prior_takes_the_commonest_label_of_training_for_every_clip():
    train = [toy_clip("train", n, (tag,)) for n, tag in enumerate(["owl", "car", "car", "owl"])]
    benchmark = toy_benchmark(each=5, train=train)
    found = scores(brackets.prior(benchmark), benchmark)
    share = fmean("car" in clip.tags for clip in benchmark.clips("test"))
    for task in ("direct", "caption_lexical", "two_step"):
        assert found[task, "all", "plain", "accuracy"] == pytest.approx(share)
    for task in ("caption_lexical", "two_step"):
        assert found[task, "all", "shuffled", "accuracy"] == pytest.approx(share)
    assert set(of(found, "balanced_accuracy", "relations").values()) == {0.5}


def test_the_oracle_reads_what_it_is_shown_and_not_the_right_answer():
    oracle = brackets.oracle(BENCHMARK)
    for request, reply in asked(rounds(BENCHMARK, PROTOCOL), oracle):
        if request.tags["task"] == "relations_generated":
            (turned,) = oracle.answer([_turned(request)], set())
            assert turned[0].text == reply.text


def _turned(request):
    tags = {**request.tags, "yes": not request.tags["yes"]}
    return type(request)(request.key, request.cluster, tags, request.turns, request.ask)


def test_the_summary_counts_clips_and_questions():
    lines = summary(BENCHMARK)
    assert lines[0] == "9 classes in 15 concepts, 8 classes with synonyms; rare: grouse, siren"
    clips = BENCHMARK.clips("test")
    line = next(line for line in lines if line.startswith("test"))
    several = sum(len(clip.tags) > 1 for clip in clips)
    sources = len({clip.group for clip in clips})
    assert f"{len(clips)} clips of {sources} sources, {several} with several tags" in line
    requests = [r for r, _ in asked(rounds(BENCHMARK, PROTOCOL), brackets.oracle(BENCHMARK))]
    by_sound = [r.tags for r in requests if r.tags["task"] == "relations"]
    counts = Counter(tags["relation"] for tags in by_sound if tags["condition"] == "A")
    assert all(f"{relation} {counts[relation]}" in lines[-1] for relation in RELATIONS)


def test_the_oracle_is_right_about_generated_clips(hear_micro):
    pairs = asked(rounds(hear_micro, Protocol(per_label=0)), brackets.oracle(hear_micro))
    records = records_of(pairs, hear_micro.ontology, hear_micro.rare)
    asked_of = {(r["relation"], r["condition"]) for r in records if r["task"] == "relations"}
    assert len(asked_of) == len(RELATIONS) * 5
    right = {r["metrics"]["accuracy"] for r in records if r["condition"] != "shuffled"}
    assert right == {1.0}
