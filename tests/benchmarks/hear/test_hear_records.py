"""Records: states of replies, words in captions, and classes on a level of the ontology."""

import numpy as np
import pytest
from toy_clips import LEAVES, ONTOLOGY, asked, toy_benchmark

from mllm.benchmarks.hear.asking import ODDS, SAID
from mllm.benchmarks.hear.brackets import oracle
from mllm.benchmarks.hear.lexical import Mentions
from mllm.benchmarks.hear.protocol import Protocol, rounds
from mllm.benchmarks.hear.records import records_of
from mllm.evaluation.request import Choices, Reply, Request, Text


def request(task, ask, tags=("grouse",), **further):
    named = {"task": task, "condition": "plain", "split": "test", "clip": "c", "label": tags[0]}
    return Request("key", "group", {**named, "tags": list(tags), **further}, (), ask)


def probe(ask, yes=True, task="relations"):
    asked = {"relation": "label", "term": "owl", "concept": "owl", "yes": yes}
    return request(task, ask, condition="A", **asked)


def record(request, reply, **options):
    return records_of([(request, reply)], ONTOLOGY, ["grouse"], **options)[0]


@pytest.mark.parametrize(
    ("logprobs", "said", "right"),
    [((-1, -9, -9, -2, -9, -9), True, 1.0), ((-3, -3, -3, -2, -9, -9), True, 1.0),
     ((-3, -9, -9, -2, -9, -9), False, 0.0), ((-2,) * 6, None, 0.5)],
)  # fmt: skip
def test_log_odds_decide_over_all_forms_and_a_tie_is_a_guess(logprobs, said, right):
    found = record(probe(ODDS), Reply("key", logprobs=logprobs, tokens=(1,) * 6))
    yes, no = np.logaddexp.reduce(logprobs[:3]), np.logaddexp.reduce(logprobs[3:])
    assert found["odds"] == pytest.approx(yes - no)
    assert (found["said"], found["metrics"], found["state"]) == (said, {"accuracy": right}, "valid")
    assert found["share"] == right
    other = record(probe(ODDS, yes=False), Reply("key", logprobs=logprobs, tokens=(1,) * 6))
    assert other["metrics"]["accuracy"] == 1 - right


@pytest.mark.parametrize(
    ("text", "said", "state", "right"),
    [("No.", False, "valid", 1.0), ("Yes, it is", True, "valid", 0.0),
     ("A bird sings.", None, "invalid", 0.0), ("I cannot say.", None, "refusal", 0.0)],
)  # fmt: skip
def test_a_reply_without_yes_or_no_is_wrong_and_no_yes(text, said, state, right):
    found = record(probe(SAID, yes=False, task="relations_generated"), Reply("key", text=text))
    assert (found["said"], found["state"], found["metrics"]["accuracy"]) == (said, state, right)
    assert found["share"] == float(said is True)


def test_errors_have_no_values():
    broken = Reply("key", state="error")
    assert record(probe(ODDS), broken)["metrics"] == {}
    assert record(probe(SAID, task="relations_generated"), broken)["state"] == "error"
    for task, ask in (("direct", Choices(LEAVES)), ("caption", Text(8))):
        found = record(request(task, ask), broken)
        assert (found["state"], found["scores"], found["metrics"]) == ("error", None, {})


def test_names_and_synonyms_are_found_in_any_number_and_the_longest_counts():
    mentions = Mentions(ONTOLOGY)
    assert mentions.of("Two owls, a GROUSE and moorfowl.") == ["owl", "grouse"]
    assert mentions.of("Fog horns and ship-horns") == ["fog horn"]
    assert mentions.of("A hooting horn, not a hooter") == ["siren", "owl"]
    assert mentions.of("birds of the carpet") == ["bird"]
    assert mentions.of("") == mentions.of("nothing") == []


def test_classes_count_on_each_level_of_the_ontology():
    def levels(caption, tags):
        found = record(request("caption", Text(8), tags), Reply("key", text=caption))
        assert found["task"] == "caption_lexical"
        metrics = found["metrics"]
        return [metrics[f"accuracy{level}"] for level in ("", "_parent", "_grandparent")]

    assert levels("A grouse.", ("grouse",)) == [1, 1, 1]
    assert levels("An owl.", ("grouse",)) == [0, 1, 1]
    assert levels("A cricket.", ("grouse",)) == [0, 0, 1]
    assert levels("A siren.", ("grouse",)) == [0, 0, 0]
    assert levels("A siren and an owl.", ("grouse", "car")) == [0, 0.5, 1]
    assert levels("An owl and a grouse.", ("grouse",)) == [0.5, 1, 1]
    assert levels("A sound.", ("grouse",)) == [0, 0, 0]
    assert levels("??", ("grouse",)) == [0, 0, 0]


def test_log_probabilities_are_normalised_over_the_classes():
    logprobs = np.random.default_rng(0).normal(-20, 4, len(LEAVES))
    reply = Reply("key", logprobs=tuple(logprobs), tokens=(3,) * len(LEAVES))
    found = record(request("direct", Choices(LEAVES)), reply)
    probabilities = np.exp(logprobs) / np.exp(logprobs).sum()
    assert list(found["scores"]) == list(LEAVES)
    np.testing.assert_allclose(np.exp([*found["scores"].values()]), probabilities)
    assert found["top"] == LEAVES[int(np.argmax(logprobs))]
    tie = record(request("direct", Choices(LEAVES)), Reply("key", logprobs=(-1.0,) * len(LEAVES)))
    assert tie["top"] is None and tie["metrics"]["accuracy"] == pytest.approx(1 / len(LEAVES))


def test_captions_are_compared_as_sounds_of_classes():
    seen = []

    def similarities(texts, references):
        seen.append((list(texts), list(references)))
        return np.eye(len(texts), len(references))

    pairs = [(request("caption", Text(8)), Reply("key", text=" An OWL calls. "))]
    (found,) = [
        r for r in records_of(pairs, ONTOLOGY, (), similarities) if r["task"] == "caption_embedding"
    ]
    assert seen == [(["sound of an owl calls."], [f"sound of {name}" for name in LEAVES])]
    assert found["scores"] == {name: float(name == LEAVES[0]) for name in LEAVES}
    assert not [r for r in records_of(pairs, ONTOLOGY) if r["task"] == "caption_embedding"]


def test_shuffled_captions_are_each_taken_by_another_clip():
    pairs = asked(rounds(toy_benchmark(), Protocol(validation=8)), oracle(toy_benchmark()))
    records = records_of(pairs, ONTOLOGY, ["grouse"])
    for task in ("caption_lexical", "two_step"):
        for split in ("test", "validation"):
            own, shuffled = (
                {r["clip"]: r for r in records if (r["task"], r["split"]) == (task, split)
                 and r["condition"] == condition}
                for condition in ("plain", "shuffled")
            )  # fmt: skip
            assert own.keys() == shuffled.keys() == {r["from"] for r in shuffled.values()}
            for clip, record in shuffled.items():
                assert record["from"] != clip
                assert record["tags"] == own[clip]["tags"]
                assert record["scores"] == own[record["from"]]["scores"]
                if record["metrics"]["accuracy"] == 1:
                    assert record["top"] is None or record["top"] in record["tags"]
    other = records_of(pairs, ONTOLOGY, ["grouse"], seed=1)
    moved = [[r.get("from") for r in found] for found in (records, other)]
    assert moved[0] != moved[1]
