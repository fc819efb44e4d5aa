"""Unlearning from pairs with a picture, from those without, or from both."""

from types import SimpleNamespace

import pytest

from configs.mllmu import tiny
from mllm.benchmarks.mllmu import study
from mllm.benchmarks.mllmu.schema import FORMS, TrainingPair
from mllm.data.refusals import REFUSALS


def profile(number: int, *modalities: str) -> SimpleNamespace:
    pairs = [
        TrainingPair(f"Who is {n}?", f"Ada {n}", kind, "name", FORMS[0])
        for n, kind in enumerate(modalities)
    ]
    return SimpleNamespace(id=f"{number}", images=[b"png"], training=pairs)


def examples(modality: str, method: str = "ga", people=("image_text", "text", "text")):
    config = tiny.get_config()
    config.benchmark.modality = modality
    groups = {"forget_15": [profile(0, *people)], "retain_85": [profile(1, *people)]}
    benchmark = SimpleNamespace(splits=tuple(groups), profiles=groups.get)
    return list(study.stages(config)[method].examples(benchmark))


@pytest.mark.parametrize(
    ("modality", "shown"),
    [("both", [1, 0, 0]), ("image_text", [1]), ("text", [0, 0])],
)
def test_methods_see_the_chosen_pairs_of_both_roles(modality, shown):
    found = examples(modality)
    for role, person in (("retain", "1"), ("forget", "0")):
        mine = [example for example in found if example.role == role]
        assert {example.cluster for example in mine} == {person}
        assert [len(example.turns[0].media) for example in mine] == shown


def test_a_kind_that_no_pair_has_is_an_error():
    with pytest.raises(ValueError, match="the 1 profiles of 'retain' have no training pair"):
        examples("image_text", people=("text",))
    with pytest.raises(ValueError, match=r"value of benchmark.modality.*'texts'"):
        examples("texts")


def test_refusals_stand_in_place_of_answers_or_beside_them():
    def answers(method: str) -> dict[str, list[str]]:
        found = {}
        for example in examples("text", method):
            found.setdefault(example.role, []).append(example.turns[-1].text)
        return found

    plain, replaced, beside = map(answers, ("ga", "idk", "dpo"))
    assert plain == {"retain": ["Ada 1", "Ada 2"], "forget": ["Ada 1", "Ada 2"]}
    assert replaced["retain"] == plain["retain"] and set(replaced["forget"]) <= set(REFUSALS)
    assert beside == {**plain, "refusal": replaced["forget"]}
