"""Scores against scikit-learn, SciPy and counting by hand, on answers at random."""

import random
from statistics import fmean

import numpy as np
import pytest
from scipy.stats import norm
from sklearn import metrics
from toy_clips import LEAVES, ONTOLOGY, asked, toy_benchmark

from mllm.benchmarks.hear.classified import class_table, confusions
from mllm.benchmarks.hear.protocol import Protocol, rounds
from mllm.benchmarks.hear.records import records_of
from mllm.benchmarks.hear.relations import RELATIONS
from mllm.benchmarks.hear.scores import AXES, METRICS, STATES, scores_of
from mllm.evaluation.request import Reply, Text
from mllm.evaluation.statistics import cluster_bootstrap
from mllm.evaluation.yes_no import is_yes

BENCHMARK = toy_benchmark(each=6)
PROTOCOL = Protocol(per_label=4, validation=27, generated=True)


class Noisy:
    """Answers at random, somewhat drawn to the right answer."""

    def __init__(self, seed=0):
        self._seed = seed

    def answer(self, requests, done):
        yield [self._reply(request) for request in requests]

    def _reply(self, request):
        rng, tags = random.Random(f"{self._seed}:{request.key}"), request.tags
        if isinstance(request.ask, Text):
            word = rng.choice([*LEAVES, *tags["tags"] * 3])
            said = [f"The sound of {word}.", "A sound.", "?!"]
            if tags["task"] == "relations_generated":
                said = ["yes", "No.", "perhaps", "I cannot say."]
            return Reply(request.key, text=rng.choice(said[:1] * 4 + said))
        right = tags["tags"]
        if "yes" in tags:
            right = [text for text in request.ask.texts if is_yes(text) == tags["yes"]]
        logs = tuple(rng.gauss(-9, 2) + 1.5 * (text in right) for text in request.ask.texts)
        return Reply(request.key, logprobs=logs, tokens=(1,) * len(logs))


def recorded(seed=0):
    return records_of(asked(rounds(BENCHMARK, PROTOCOL), Noisy(seed)), ONTOLOGY, BENCHMARK.rare)


RECORDS = recorded()
SCORES = {tuple(s[name] for name in (*AXES, "metric")): s for s in scores_of(RECORDS)}


def chosen(task, condition, relation="all", records=RECORDS):
    return [
        r
        for r in records
        if (r["task"], r["condition"], r["split"]) == (task, condition, "test")
        and relation in ("all", r.get("relation"))
    ]


def test_cells_are_unique_and_their_metrics_known():
    assert len(SCORES) == len(scores_of(RECORDS))
    assert {metric for *_, metric in SCORES} == set(METRICS)
    for score in SCORES.values():
        low, high = score["ci95"]
        assert low <= score["value"] <= high or score["n"] < 20
        assert 0 <= sum(score[state] for state in STATES) <= 1 + 1e-9


@pytest.mark.parametrize("task", ["relations", "relations_generated"])
@pytest.mark.parametrize("condition", ["T", "A", "AT", "C", "R"])
@pytest.mark.parametrize("relation", ["all", "label", "grandparent"])
def test_relation_scores_equal_counts_by_hand(task, condition, relation):
    found = chosen(task, condition, relation)
    gold = [r["yes"] for r in found]
    said = [r["said"] is True for r in found]
    expected = {
        "accuracy": fmean(r["said"] is not None and r["said"] == r["yes"] for r in found),
        "yes_rate": fmean(said),
    }
    hits = sum(s for s, g in zip(said, gold, strict=True) if g)
    alarms = sum(s for s, g in zip(said, gold, strict=True) if not g)
    yes, no = sum(gold), len(gold) - sum(gold)
    expected["d_prime"] = norm.ppf((hits + 0.5) / (yes + 1)) - norm.ppf((alarms + 0.5) / (no + 1))
    if task == "relations":
        expected["auc"] = metrics.roc_auc_score(gold, [r["odds"] for r in found])
        expected["balanced_accuracy"] = metrics.balanced_accuracy_score(gold, said)
    for metric, value in expected.items():
        score = SCORES[task, relation, condition, metric]
        assert score["value"] == pytest.approx(value) and score["n"] == len(found)
    assert SCORES[task, relation, condition, "balanced_accuracy"]["value"] == pytest.approx(
        expected["accuracy"]
    )  # as many right answers are yes as no


def test_hearing_is_separated_from_reasoning():
    label = {r["clip"] for r in chosen("relations", "A", "label") if r["yes"] and r["said"]}
    for relation in ("synonym", "parent", "grandparent"):
        found = [r for r in chosen("relations", "A", relation) if r["clip"] in label]
        right = [r["said"] for r in found if r["yes"]]
        score = SCORES["relations", relation, "A", "consistency"]
        assert (score["value"], score["n"]) == (pytest.approx(fmean(right)), len(right))
        score = SCORES["relations", relation, "A", "accuracy_recognised"]
        assert score["value"] == pytest.approx(fmean(r["said"] == r["yes"] for r in found))
        recognised_in_c = {
            r["clip"] for r in chosen("relations", "C", "label") if r["yes"] and r["said"]
        }
        by_caption = [
            r["said"]
            for r in chosen("relations", "C", relation)
            if r["yes"] and r["clip"] in recognised_in_c
        ]
        score = SCORES["relations", relation, "C", "consistency"]
        assert score["value"] == pytest.approx(fmean(by_caption))
    assert ("relations", "label", "A", "consistency") not in SCORES


def test_answers_that_do_not_follow_the_sound_are_counted():
    heard = {(r["clip"], r["relation"], r["term"]): r["said"] for r in chosen("relations", "A")}
    same = [
        heard[r["clip"], r["relation"], r["term"]] == r["said"] for r in chosen("relations", "R")
    ]
    assert SCORES["relations", "all", "R", "unchanged"]["value"] == pytest.approx(fmean(same))


@pytest.mark.parametrize("pair", ["T-A", "C-A", "AT-A"])
@pytest.mark.parametrize("relation", ["all", *RELATIONS])
def test_gaps_are_paired_by_question(pair, relation):
    first, second = (
        {(r["clip"], r["relation"], r["term"]): r for r in chosen("relations", name, relation)}
        for name in pair.split("-")
    )
    assert first.keys() == second.keys()
    values = [[side[name]["metrics"]["accuracy"] for name in second] for side in (first, second)]
    clusters = [second[name]["cluster"] for name in second]
    differences = np.subtract(*values).tolist()
    score = SCORES["relations", relation, pair, "gap"]
    assert score["value"] == pytest.approx(fmean(differences)) and score["n"] == len(differences)
    assert score["ci95"] == pytest.approx(cluster_bootstrap(differences, clusters))


@pytest.mark.parametrize(
    ("task", "classes"), [("direct", "all"), ("direct", "rare"), ("caption_lexical", "common")]
)
def test_class_scores_equal_scikit_learn(task, classes):
    found = chosen(task, "plain")
    tuning = [r for r in RECORDS if (r["task"], r["condition"]) == (task, "plain")]
    tuning = [r for r in tuning if r["split"] == "validation"]
    rare = set(BENCHMARK.rare)
    names = {"all": set(LEAVES), "rare": rare, "common": set(LEAVES) - rare}[classes]
    values = {"map": [], "auc": [], "f1": [], "recall": []}
    for name in names:
        truth = [name in r["tags"] for r in found]
        scores = [r["scores"][name] for r in found]
        values["map"].append(metrics.average_precision_score(truth, scores))
        values["auc"].append(metrics.roc_auc_score(truth, scores))
        tuned = [r["scores"][name] for r in tuning]
        wanted = [name in r["tags"] for r in tuning]
        thresholds = sorted(set(tuned), reverse=True)
        f1s = [metrics.f1_score(wanted, np.array(tuned) >= t) for t in thresholds]
        place = int(np.argmax(f1s))
        below = thresholds[min(place + 1, len(thresholds) - 1)]
        said = np.array(scores) >= (thresholds[place] + below) / 2
        values["f1"].append(metrics.f1_score(truth, said))
        values["recall"].append(metrics.recall_score(truth, said))
    for metric, expected in values.items():
        assert SCORES[task, classes, "plain", metric]["value"] == pytest.approx(fmean(expected))
    own = [r["metrics"]["accuracy"] for r in found if r["label"] in names]
    score = SCORES[task, classes, "plain", "accuracy"]
    assert (score["value"], score["n"]) == (pytest.approx(fmean(own)), len(own))


def test_the_table_of_classes_has_the_same_means():
    rows = class_table(RECORDS)
    assert [row["class"] for row in rows] == list(LEAVES)
    assert {row["class"] for row in rows if row["rare"]} == set(BENCHMARK.rare)
    for metric, mean in (("average_precision", "map"), ("auc", "auc"), ("recall", "recall")):
        found = fmean(row[metric][0] for row in rows)
        assert found == pytest.approx(SCORES["direct", "all", "plain", mean]["value"])
        assert all(low <= value <= high for value, (low, high) in (row[metric] for row in rows))
    counts = [sum(row["class"] in r["tags"] for r in chosen("direct", "plain")) for row in rows]
    assert [row["n"] for row in rows] == counts


def test_confusions_count_every_clip_once():
    found = confusions(RECORDS)
    right = sum(count for (label, top), count in found.items() if label == top)
    clips = chosen("direct", "plain")
    assert sum(found.values()) == len(clips)
    assert right == sum(r["top"] == r["label"] for r in clips)


def test_shuffled_captions_fall_to_the_prior_of_labels():
    # What captions that know nothing of their clip reach: the classes they name, drawn by lot.
    records = [r for r in chosen("caption_lexical", "plain") if r["top"]]
    pairs = [(a["top"] in b["tags"]) for a in records for b in records if a is not b]
    own = SCORES["caption_lexical", "all", "plain", "accuracy"]["value"]
    shuffled = SCORES["caption_lexical", "all", "shuffled", "accuracy"]
    assert shuffled["ci95"][0] <= fmean(pairs) <= shuffled["ci95"][1] < own
    low, high = SCORES["caption_lexical", "all", "shuffled", "auc"]["ci95"]
    assert low <= 0.5 <= high < SCORES["caption_lexical", "all", "plain", "auc"]["value"]


def test_errors_are_in_no_value_and_missing_from_the_states():
    broken = [
        {**r, "state": "error", "metrics": {}, "scores": None} if i % 2 else r
        for i, r in enumerate(RECORDS)
        if "scores" in r
    ]
    found = {tuple(s[n] for n in (*AXES, "metric")): s for s in scores_of(broken)}
    kept = [r for r in chosen("direct", "plain", records=broken) if r["state"] == "valid"]
    score = found["direct", "all", "plain", "accuracy"]
    assert score["value"] == pytest.approx(fmean(r["metrics"]["accuracy"] for r in kept))
    assert score["n"] == len(kept) and 0 < score["valid"] < 1


def test_without_validation_clips_there_are_no_thresholds():
    records = [r for r in RECORDS if r["split"] != "validation"]
    found = {s["metric"] for s in scores_of(records) if s["task"] == "direct"}
    assert "map" in found and not found & {"f1", "recall"}
    only = [{**r, "split": "validation"} for r in records if r["task"] == "direct"]
    assert scores_of(only)[0]["n"] == len(BENCHMARK.clips("test"))


def test_without_rare_classes_there_is_one_set_of_classes():
    records = [{**r, "rare": []} for r in RECORDS if r["task"] == "direct"]
    assert {s["relation"] for s in scores_of(records)} == {"all"}
