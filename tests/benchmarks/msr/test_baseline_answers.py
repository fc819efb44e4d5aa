"""Baselines as stages of the study: what they are asked, what they answer, what they refuse."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from ml_collections import ConfigDict

from mllm.benchmarks.msr.baselines import NEGATIVES, stages
from mllm.benchmarks.msr.baselines.features import features, of_pictures, of_texts
from mllm.benchmarks.msr.scores import records_of, scores_of
from mllm.evaluation.request import Choices, Request, Text
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.yes_no import NO, YES, log_odds
from tests.toy import make_model

FORMS = (*YES, *NO)


def section(**grid):
    return ConfigDict(dict(width=8, length=10, blocks=1, heads=1, rows=32, grid=grid))


def config_of(**baselines):
    return ConfigDict(dict(seed=0, checkpoint_every=100, baselines=baselines))


def requests_of(benchmark, split="test"):
    """Return a question about each candidate of each user, and one that wants a text."""
    found = [Request("summary", "x", {}, (), Text(8))]
    for user in benchmark.users(split):
        for item in user.candidates:
            tags = {
                "user": user.id,
                "item": item,
                "label": "1" if item == user.target else "0",
                "cold": "cold" if benchmark.item(user.target).cold else "warm",
                "history": len(user.history),
                "split": split,
            }
            key = f"{user.id}/{item}"
            found.append(Request(key, user.id, tags, (), Choices(FORMS)))
    return found


def asked(answerer, requests, done=()):
    replies = {r.key: r for lot in answerer.answer(requests, set(done)) for r in lot}
    assert len(replies) == len(requests) - len(done)
    return replies


def test_popularity_is_counting(msr_micro, tmp_path):
    config = config_of(popularity=ConfigDict())
    answerer = stages(config)["popularity"].answerer(msr_micro, tmp_path, None)
    requests = requests_of(msr_micro)
    replies = asked(answerer, requests)
    assert replies["summary"].text == ""
    counts = Counter(item for _, item, _ in msr_micro.log)
    odds = {r.tags["item"]: log_odds(FORMS, replies[r.key].logprobs) for r in requests if r.tags}
    assert len(odds) > 20 and {counts[item] == 0 for item in odds} == {True, False}
    for item, score in odds.items():
        for other, below in odds.items():
            assert (score > below + 1e-9) == (counts[item] > counts[other])
    assert dict(answerer.identity) == {"baseline": "popularity"}
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def trained(msr_micro, tmp_path_factory):
    """A trained baseline's stage, folder and answerer."""
    folder = tmp_path_factory.mktemp("sasrec")
    config = config_of(sasrec=section(learning_rate=(0.01,), epochs=(2,)))
    stage = stages(config)["sasrec"]
    return stage, folder, stage.answerer(msr_micro, folder, None)


def test_a_trained_baseline_is_found_again_and_answers_the_same(trained, msr_micro):
    stage, folder, answerer = trained
    requests = requests_of(msr_micro)
    replies = asked(answerer, requests)
    files = sorted(path for path in folder.rglob("checkpoints/*/digests.json"))
    again = stage.answerer(msr_micro, folder, None)
    assert again.identity == answerer.identity
    assert len(answerer.identity["weights"]) == 64
    assert answerer.identity["options"]["epochs"] == 2 and answerer.identity["trials"] == 1
    assert sorted(folder.rglob("checkpoints/*/digests.json")) == files
    shuffled = [requests[i] for i in np.random.default_rng(0).permutation(len(requests))]
    done = {requests[0].key, requests[40].key}
    found = asked(again, shuffled, done)
    assert found == {key: reply for key, reply in replies.items() if key not in done}
    scores = scores_of(records_of([(r, replies[r.key]) for r in requests]))
    assert {score["metric"] for score in scores} >= {"auc_pooled", "hr@5", "mrr@5"}
    assert (stage.depends_on, stage.method, stage.parent) == (
        ("seed", "baselines.sasrec"),
        True,
        None,
    )


def test_cold_candidates_of_a_user_tie_without_features(trained, msr_micro):
    _, _, answerer = trained
    requests = [r for r in requests_of(msr_micro) if r.tags]
    replies = asked(answerer, requests)
    ties = 0
    for user in msr_micro.users("test"):
        odds = [
            log_odds(FORMS, replies[f"{user.id}/{item}"].logprobs)
            for item in user.candidates
            if msr_micro.item(item).cold
        ]
        assert np.ptp(odds) < 1e-5 if odds else True
        ties += len(odds) > 1
    assert ties


def test_features_come_from_the_parents_pictures_and_texts(msr_micro, tmp_path):
    model = LocalModel(make_model())
    found = features(msr_micro, model)
    assert found.shape == (len(msr_micro.items), 64) and np.isfinite(found).all()
    assert len(np.unique(found.round(5), axis=0)) > 30
    texts = [" ".join((i.title, i.description)) for i in list(msr_micro.items)[:3]]
    alone = np.concatenate([of_texts(model.loaded, [text]) for text in texts])
    np.testing.assert_allclose(found[:3, 32:], alone, atol=1e-4)
    config = config_of(gru4rec_f=section(learning_rate=(0.01,), epochs=(1,)))
    stage = stages(config, parent="summariser")["gru4rec_f"]
    assert stage.parent == "summariser"
    answerer = stage.answerer(msr_micro, tmp_path, model)
    requests = [r for r in requests_of(msr_micro) if r.tags]
    odds = {}
    for key, reply in asked(answerer, requests).items():
        user, item = key.split("/")
        if msr_micro.item(item).cold:
            odds.setdefault(user, set()).add(round(log_odds(FORMS, reply.logprobs), 7))
    assert any(len(values) > 1 for values in odds.values())


def test_what_is_missing_has_features_of_zeros():
    assert not of_pictures(make_model(), {"a": None}).any()
    assert of_texts(make_model(), ["", "Ada"]).any(axis=1).tolist() == [False, True]


@pytest.mark.parametrize(
    "baselines, message",
    [
        (dict(sasrek=section()), r"unknown baseline \(config.baselines\) 'sasrek'; did you mean"),
        (dict(sasrec_f=section()), r"lists 'sasrec_f', whose features come from a model"),
        (
            dict(bpr=section(), sasrec=section(dropout=(0.1, 0.2))),
            r"unequal numbers of trials \(bpr 1, sasrec 2\)",
        ),
    ],
)
def test_a_study_of_unfair_or_unknown_baselines_is_refused(baselines, message):
    with pytest.raises(ValueError, match=message):
        stages(config_of(**baselines))


def test_what_cannot_be_answered_is_refused_by_name(msr_micro, tmp_path):
    answerer = stages(config_of(popularity=ConfigDict()))["popularity"].answerer(
        msr_micro, tmp_path, None
    )
    request = requests_of(msr_micro)[1]
    for change, message in (
        ({"user": "nobody"}, r"unknown user of test 'nobody'"),
        ({"item": "nothing"}, r"unknown item of the catalogue 'nothing'"),
    ):
        with pytest.raises(ValueError, match=message):
            asked(answerer, [replace(request, tags={**request.tags, **change})])
    with pytest.raises(ValueError, match=r"a candidate is asked for by Text, expected Choices"):
        asked(answerer, [replace(request, ask=Text(3))])
    assert len(msr_micro.users("test")[0].negatives) == NEGATIVES
