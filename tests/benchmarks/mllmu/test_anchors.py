"""Questions about pictures of people to forget, and their replies as examples."""

from types import SimpleNamespace

import pytest

from configs.mllmu import common
from mllm.benchmarks.mllmu import study
from mllm.benchmarks.mllmu.anchors import Anchors, ask_about_pictures
from mllm.benchmarks.mllmu.schema import Profile, TrainingPair
from mllm.benchmarks.mllmu.wordings import APPEARANCE_QUESTIONS
from mllm.data.conversation import image
from mllm.evaluation.request import Reply
from mllm.unlearning import get_objective

PEOPLE = [
    Profile(
        f"P{n}",
        f"Ada {n}",
        "fictitious",
        (bytes([n]), b"other"),
        training=(TrainingPair("Who?", "Ada", "image_text", "name", "plain"),),
    )
    for n in range(3)
]
BENCHMARK = SimpleNamespace(profiles=lambda split: {"forget_15": PEOPLE}[split], splits=())


@pytest.fixture
def config():
    config = common.get_config()
    config.benchmark.limit.forget = 2
    return config


def answered(config, *texts):
    (requests,) = ask_about_pictures(config, "vanilla", BENCHMARK)
    said = [*texts, *["a hat"] * (len(requests) - len(texts))]
    return [(one, Reply(one.key, text=text)) for one, text in zip(requests, said, strict=True)]


def test_each_person_is_asked_each_question_about_the_first_picture(config):
    (requests,) = ask_about_pictures(config, "vanilla", BENCHMARK)
    assert len(requests) == 2 * len(APPEARANCE_QUESTIONS) == len({one.key for one in requests})
    for number, request in enumerate(requests):
        person, question = divmod(number, len(APPEARANCE_QUESTIONS))
        picture, text = request.turns[0].parts
        assert picture == image(bytes([person])) and text == APPEARANCE_QUESTIONS[question]
        assert request.model == "vanilla" and PEOPLE[person].name not in text


def test_replies_become_examples_and_empty_ones_do_not(config):
    anchors = Anchors(config, BENCHMARK, answered(config, " red hair. ", " "), "anchor")
    assert len(anchors) == 2 * len(APPEARANCE_QUESTIONS) - 1
    first = anchors[0]
    assert first.role == "anchor" and first.cluster == "P0"
    assert first.turns[0].parts == (image(bytes([0])), APPEARANCE_QUESTIONS[0])
    assert first.turns[1].text == "red hair." and first.turns[1].role == "assistant"
    nothing = [""] * 2 * len(APPEARANCE_QUESTIONS)
    with pytest.raises(ValueError, match="none of 14 replies about pictures says anything"):
        Anchors(config, BENCHMARK, answered(config, *nothing), "anchor")


def test_only_what_wants_anchors_asks_the_vanilla_model(config):
    stages = study.stages(config)
    assert stages["pava"].consults == ("vanilla",) and stages["pava"].parents == ("vanilla",)
    assert stages["npo"].inquiry is None and stages["npo"].consults == ()


def test_a_stage_learns_from_anchors_and_what_is_to_be_forgotten(config):
    examples = study.stages(config)["pava"].examples(BENCHMARK, answered(config, ""))
    roles = [one.role for one in examples]
    assert roles.count("forget") == 2
    assert roles.count(get_objective("pava").anchor) == len(roles) - 2 == 13
