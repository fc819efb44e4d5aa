"""What is asked about a clip, and that evidence is all that conditions differ in."""

from collections import Counter, defaultdict

import pytest
from toy_clips import LEAVES, ONTOLOGY, asked, toy_benchmark, toy_clip

from mllm.benchmarks.hear.brackets import oracle
from mllm.benchmarks.hear.incontext import VARIANTS, prefix_of
from mllm.benchmarks.hear.prompts import CAPTION, CLASSIFY, caption_of, question_of
from mllm.benchmarks.hear.protocol import LOT, Protocol, rounds
from mllm.evaluation.baselines import Fixed
from mllm.evaluation.request import Choices, Reply

BENCHMARK = toy_benchmark()
PROTOCOL = Protocol(per_label=2, variants=tuple(VARIANTS), validation=5, generated=True)
PAIRS = asked(rounds(BENCHMARK, PROTOCOL), oracle(BENCHMARK))
REQUESTS = [request for request, _ in PAIRS]
CLIPS = {clip.id: clip for split in ("test", "validation") for clip in BENCHMARK.clips(split)}


def relation_requests(task="relations"):
    return [request for request in REQUESTS if request.tags["task"] == task]


def test_keys_are_unique():
    assert len({request.key for request in REQUESTS}) == len(REQUESTS)


def test_a_question_is_the_same_text_in_every_condition_after_its_evidence():
    by_condition = defaultdict(set)
    for request in relation_requests():
        tags = request.tags
        text, heard = request.turns[0].text, request.turns[0].media
        evidence = {
            "T": f"This sound is labelled: {tags['label']}. ",
            "AT": f"This sound is labelled: {tags['label']}. ",
            "C": f"This sound is described as: {caption_of(tags['tags'])} ",
        }
        condition = tags["condition"]
        assert text == evidence.get(condition, "") + question_of(tags["term"])
        played = [CLIPS[tags["heard"]].sound] if condition in ("A", "AT", "R") else []
        assert list(heard) == played
        assert (tags["heard"] == tags["clip"]) == (condition in ("A", "AT"))
        gold = tags["yes"] != (condition == "R")
        by_condition[condition].add((tags["clip"], tags["relation"], tags["term"], gold))
    assert len(by_condition) == 5 and len({frozenset(v) for v in by_condition.values()}) == 1


def test_half_of_the_answers_are_no_in_each_relation_and_condition():
    counts = Counter(
        (r.tags["relation"], r.tags["condition"], r.tags["yes"]) for r in relation_requests()
    )
    assert len(counts) == 6 * 5 * 2
    assert all(counts[r, c, True] == counts[r, c, False] for r, c, _ in counts)


def test_generated_answers_are_asked_for_by_the_same_prompts():
    written = relation_requests("relations_generated")
    assert [r.turns for r in written] == [r.turns for r in relation_requests()]
    plain = asked(rounds(BENCHMARK, Protocol(per_label=2)), oracle(BENCHMARK))
    assert not [r for r, _ in plain if r.tags["task"] == "relations_generated"]


def test_every_clip_is_captioned_and_classified_in_every_variant():
    for task, text in (("caption", CAPTION), ("direct", CLASSIFY)):
        found = [r for r in REQUESTS if r.tags["task"] == task]
        counts = Counter(r.tags["condition"] for r in found)
        assert counts == dict.fromkeys(VARIANTS, len(BENCHMARK.clips("test")) + 5)
        for request in found:
            assert request.turns[0].text.endswith(text)
            assert request.turns[0].media == (CLIPS[request.tags["clip"]].sound,)
            prefix = prefix_of(request.tags["condition"], BENCHMARK, "rare", 4, 0)
            assert request.turns[0].text == f"{prefix} {text}".strip()
    assert {r.ask for r in REQUESTS if r.tags["task"] == "direct"} == {Choices(LEAVES)}


def test_the_second_step_reads_the_caption_that_the_model_gave():
    def said(request):
        caption = request.tags["task"] == "caption"
        return f" heard {request.tags['clip']}\n" if caption else request.ask.texts

    sent = rounds(BENCHMARK, Protocol(per_label=1, two_step=False))
    for request, _ in asked(sent, Fixed("says", said)):
        if request.tags["condition"] == "C":
            caption = f"heard {request.tags['clip']}"
            assert request.tags["caption"] == caption
            assert request.turns[0].text.startswith(f"This sound is described as: {caption} ")
            assert not request.turns[0].media


def test_a_caption_that_was_not_given_is_empty():
    def silent(requests):
        return [Reply(r.key, state="error") for r in requests]

    sent = rounds(BENCHMARK, Protocol(clips=2, conditions=("A",)))
    second = sent.send(silent(next(sent)))
    assert [r.tags["task"] for r in second] == ["two_step"] * 2
    assert second[0].turns[0].text == f"This sound is described as:  {CLASSIFY}"


def test_contexts_tell_of_rare_classes_and_are_the_same_for_every_clip():
    assert prefix_of("plain", BENCHMARK, "rare") == ""
    assert prefix_of("labels", BENCHMARK, "rare") == (
        "The sound is one of these: grouse, owl, cricket, bee, siren, bell, fog horn, car, hum."
    )
    assert prefix_of("sounds_like", BENCHMARK, "rare") == (
        "grouse: Low thumps. siren: A long rising tone."
    )
    assert prefix_of("habitat", BENCHMARK, "rare") == "grouse: On moors."
    common = toy_benchmark(rare=())
    assert prefix_of("habitat", common, "rare") == prefix_of("habitat", common, "all")
    with pytest.raises(ValueError, match=r"no 'habitat' of any of siren"):
        prefix_of("habitat", toy_benchmark(rare=("siren",)), "rare")


def test_examples_are_of_different_labels_of_training_clips():
    text = prefix_of("examples", BENCHMARK, "rare", 4, 0)
    pairs = [part.split(" Label: ") for part in text.rstrip(".").split("Caption: ")[1:]]
    captions = {caption_of(clip.tags): clip.tags for clip in BENCHMARK.clips("train")}
    labels = [label.strip().rstrip(".") for _, label in pairs]
    assert len(set(labels)) == len(pairs) == 4
    for (caption, _), label in zip(pairs, labels, strict=True):
        assert captions[caption][0] == label
    assert prefix_of("examples", BENCHMARK, "rare", 4, 1) != text
    few = toy_benchmark(train=[toy_clip("train", 0, ("owl",))])
    assert prefix_of("examples", few, "rare", 4, 0) == "Caption: The sound of owl. Label: owl."


def test_clips_without_a_leaf_among_their_tags_are_not_asked_about():
    clips = [toy_clip("test", 0, ("bird",)), toy_clip("test", 1, ("insect", "owl"))]
    benchmark = toy_benchmark(test=clips)
    sent = [r for r, _ in asked(rounds(benchmark, Protocol()), oracle(benchmark))]
    assert {(r.tags["clip"], r.tags["label"]) for r in sent} == {("test/1", "owl")}


def test_lots_do_not_change_what_is_asked():
    many = toy_benchmark(each=12)
    assert len(many.clips("test")) > LOT
    sent = [r for r, _ in asked(rounds(many, Protocol(per_label=0)), oracle(many))]
    about = Counter(r.tags["clip"] for r in sent if r.tags["task"] == "direct")
    assert about == dict.fromkeys((clip.id for clip in many.clips("test")), 1)
    heard = [r.tags for r in sent if r.tags["condition"] == "R"]
    assert any(tags["clip"] != tags["heard"] for tags in heard)
    assert len(heard) == sum(r.tags["condition"] == "A" for r in sent)


def test_clusters_are_base_signals():
    assert {r.cluster for r in REQUESTS} == {CLIPS[r.tags["clip"]].group for r in REQUESTS}


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match=r"evaluation\.conditions.*'TA'"):
        Protocol(conditions=("TA",))
    with pytest.raises(ValueError, match=r"evaluation\.per_label is -1"):
        Protocol(per_label=-1)
    with pytest.raises(ValueError, match=r"evaluation\.validation=0"):
        Protocol(split="validation", validation=10)
    assert ONTOLOGY["hum"].synonyms == ()
