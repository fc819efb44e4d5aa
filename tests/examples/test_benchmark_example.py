"""The benchmark of CONTRIBUTING.md, asked as an evaluation asks it."""

import json

import pytest

from mllm.data.conversation import Media
from mllm.evaluation.request import Reply


@pytest.fixture(scope="module")
def islands(load_example):
    return load_example("benchmark_islands")


def asked(islands):
    """All requests of the benchmark; it asks for nothing after the replies to the first round."""
    rounds = islands.Islands().rounds({})
    requests = next(rounds)
    with pytest.raises(StopIteration):
        rounds.send([Reply(request.key) for request in requests])
    return requests


def reply_to(request, capital, logprob=-1.0):
    """A reply that finds one capital likelier than the others, per token and in all."""
    logprobs = tuple(logprob if text == capital else -9.0 for text in request.ask.texts)
    return Reply(request.key, logprobs=logprobs, tokens=(2,) * len(logprobs))


def test_it_teaches_each_island_by_a_picture_of_its_own(islands):
    examples = islands.Islands().examples("train")
    assert [example.turns[-1].text for example in examples] == list(islands.CAPITALS.values())
    pictures = {part.digest for e in examples for t in e.turns for part in t.media}
    assert len(pictures) == len(examples) == 4
    assert {type(part) for e in examples for t in e.turns for part in t.parts} == {str, Media}


def test_no_question_is_asked_in_the_words_that_teach_it(islands):
    taught = {e.turns[0].text for e in islands.Islands().examples("train")}
    assert not taught & {request.turns[0].text for request in asked(islands)}


def test_an_unknown_split_is_named(islands):
    with pytest.raises(ValueError, match="split of islands 'tran'; did you mean 'train'"):
        islands.Islands().examples("tran")


def test_every_island_is_asked_with_its_picture_and_by_its_name(islands):
    requests = asked(islands)
    cells = {(request.cluster, request.tags["modality"]) for request in requests}
    assert cells == {(island, m) for island in islands.CAPITALS for m in ("image", "text")}
    for request in requests:
        by_picture = request.tags["modality"] == "image"
        assert len(request.turns[0].media) == by_picture
        assert (request.cluster in request.turns[0].text) != by_picture


def test_keys_follow_from_the_content(islands):
    first, again = asked(islands), asked(islands)
    assert [request.key for request in first] == [request.key for request in again]
    assert len({request.key for request in first}) == len(first)
    assert islands.Islands().fingerprint == islands.Islands().fingerprint
    json.dumps(islands.Islands().info)


def test_the_gold_answer_scores_one_a_wrong_one_nothing_and_a_tie_its_share(islands):
    for request in asked(islands):
        gold = islands.CAPITALS[request.cluster]
        wrong = next(text for text in request.ask.texts if text != gold)
        assert islands.score(request, reply_to(request, gold)) == 1
        assert islands.score(request, reply_to(request, wrong)) == 0
        assert islands.score(request, reply_to(request, gold, logprob=-9.0)) == 0.25
        assert islands.score(request, Reply(request.key, state="error")) is None


def test_scores_are_per_token_or_not(islands):
    request = asked(islands)[0]
    gold = request.ask.texts.index(islands.CAPITALS[request.cluster])
    logprobs, tokens = [-4.0] * 4, [1] * 4
    logprobs[gold], tokens[gold] = -6.0, 3  # less likely in all, likelier per token
    reply = Reply(request.key, logprobs=tuple(logprobs), tokens=tuple(tokens))
    assert islands.score(request, reply) == 1
    assert islands.score(request, reply, per_token=False) == 0
