"""The prompt lists and samples against digests and samples recorded from the published files."""

import hashlib
import json
from collections import Counter

import pytest

from mllm.benchmarks.cobsat import prompt_list
from mllm.benchmarks.cobsat.assemble import (
    PROMPT_TYPES,
    Caption,
    Picture,
    Words,
    assemble,
    query_unit,
)
from mllm.benchmarks.cobsat.prompt_lists import (
    MODES,
    SHOTS,
    count,
    distinct,
    duplicates,
    sample,
    samples,
)
from mllm.benchmarks.cobsat.tasks import TASKS, WORDS, display, pairs, undisplay

DIGESTS = {
    "default": "06f1c92f2e75bcf637b4f33a94e6399be667860da716eaede40955e6e1338f2f",
    "ft_test": "65725f0227632454b39b5d0665ead51ad8821daaf160e875aa020333504be6c3",
}


@pytest.mark.parametrize("mode", DIGESTS)
def test_lists_are_the_published_ones(mode):
    records = prompt_list(mode)
    assert len(records) == 1000
    compact = json.dumps(records, separators=(",", ":"))
    assert hashlib.sha256(compact.encode()).hexdigest() == DIGESTS[mode]
    assert compact == json.dumps([[x, theta] for x, theta in records], separators=(",", ":"))


def test_the_other_lists():
    assert prompt_list("ft_train_leave_one_out") == prompt_list("default")
    assert prompt_list("default")[0] == (
        [8, 7, 5, 9, 2, 3, 6, 1, 4, 0],
        [7, 6, 3, 4, 1, 0, 2, 5, 9, 8],
    )
    assert prompt_list("ft_train_all") == [([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])]
    prompt_list("default")[0].x.clear()  # a caller's own copy
    assert len(prompt_list("default")[0].x) == 10


@pytest.mark.parametrize(
    "task, number, mode, inputs, theta",
    [
        (1, 0, "default", "blue brown orange", "car"),
        (1, 1, "default", "brown pink purple", "hat"),
        (1, 2, "default", "white pink black", "book"),
        (2, 0, "default", "bag ball box", "pink"),
        (2, 1, "default", "ball car chair", "white"),
        (2, 2, "default", "hat car apple", "green"),
        (1, 0, "ft_test", "blue green black", "box"),
        (1, 1, "ft_test", "brown blue green", "ball"),
    ],
)
def test_published_samples(task, number, mode, inputs, theta):
    found = sample(task, 2, number, mode)
    assert found.inputs == tuple(inputs.split()) and found.theta == theta
    assert found.query == found.inputs[-1] and found.shots == 2


def test_the_ten_tasks():
    assert [task.name for task in TASKS.values()] == [
        "Color-I", "Color-II", "Background-I", "Background-II", "Style-I",
        "Style-II", "Action-I", "Action-II", "Texture-I", "Texture-II",
    ]  # fmt: skip
    assert {len(words) for words in WORDS.values()} == {10}
    assert len(set(pairs())) == 500 and len(pairs("style")) == 100
    first = sample(1, 2, 0)
    assert first.target == ("color", "orange", "car") and first.target.name == "orange_car"
    assert sample(2, 2, 0).target == ("color", "pink", "box")
    with pytest.raises(ValueError, match="did you mean 'style'"):
        pairs("styles")


def test_names_show_display_words_of_inputs_only():
    """The published files are named so; theta keeps the word of the vocabulary."""
    chosen = next(one for one in samples(5, 2) if "3d" in one.inputs)
    assert "wireframe" in chosen.name.split("_") and "3d" not in chosen.name.split("_")
    chosen = next(one for one in samples(4, 2) if one.theta == "park")
    assert chosen.name == f"{chosen.number}_park_" + "_".join(chosen.inputs)
    assert sample(1, 2, 0).name == "0_car_blue_brown_orange"
    for words in WORDS.values():
        assert [undisplay(display(word)) for word in words] == list(words)
    assert display("park") == "amusement park"


@pytest.mark.parametrize(
    "mode, shots, expected",
    [
        ("default", 2, 942), ("default", 4, 999), ("default", 6, 1000), ("default", 8, 1000),
        ("ft_test", 2, 170), ("ft_test", 4, 212),
        ("ft_train_all", 2, 300), ("ft_train_all", 4, 600), ("ft_train_leave_one_out", 2, 942),
    ],
)  # fmt: skip
def test_distinct_prompts(mode, shots, expected):
    assert distinct(mode, shots) == expected
    made = samples(7, shots, mode)
    assert len(made) == count(mode, shots)
    contents = Counter((one.inputs, one.theta) for one in made)
    assert len(contents) == expected
    repeated = duplicates(mode, shots)
    assert sum(map(len, repeated.values())) == len(made) - expected
    for first, later in repeated.items():
        for number in later:
            assert first < number and made[number].inputs == made[first].inputs
            assert made[number].theta == made[first].theta


def test_ft_test_starts_theta_over_again():
    records = prompt_list("ft_test")
    for number in (0, 17, 249):
        with_four = sample(3, 4, number, "ft_test")
        assert with_four.theta == WORDS["animal"][records[number].theta[0]]
        assert sample(3, 3, number, "ft_test").theta == WORDS["animal"][records[number].theta[4]]


def test_training_and_testing_words_are_apart():
    for task, mode, places in ((6, "ft_train_all", range(5)), (6, "ft_test", range(5, 10))):
        made = samples(task, 2, mode)
        objects = {WORDS["object"][place] for place in places}
        styles = {WORDS["style"][place] for place in places}
        assert {x for one in made for x in one.inputs} == objects
        assert {one.theta for one in made} == styles


def test_what_a_list_has_no_words_for_is_refused():
    with pytest.raises(ValueError, match="9 shots: data mode 'default' has words for 1 to 8"):
        samples(1, 9)
    with pytest.raises(ValueError, match="5 shots: data mode 'ft_test' has words for 1 to 4"):
        samples(1, 5, "ft_test")
    with pytest.raises(ValueError, match="0 to 249"):
        sample(1, 2, 250, "ft_test")
    with pytest.raises(ValueError, match="did you mean 'default'"):
        prompt_list("defualt")
    with pytest.raises(ValueError, match="unknown task 11"):
        samples(11, 2)


@pytest.mark.parametrize("prompt_type", PROMPT_TYPES)
@pytest.mark.parametrize("shots", SHOTS)
def test_segments_alternate_and_end_with_the_query(prompt_type, shots):
    for task in TASKS:
        for one in samples(task, shots)[:50]:
            segments = assemble(one, prompt_type)
            assert len(segments) == 2 * shots + 1
            assert all(isinstance(segment, Words) for segment in segments[::2])
            shown = Caption if prompt_type == "caption" else Picture
            assert segments[1::2] == tuple(shown(pair) for pair in one.shown)
            assert segments[-1].text == query_unit(one, prompt_type)
            assert one.target not in one.shown


def test_texts_of_the_prompt_types():
    one = next(one for one in samples(3, 2) if "park" in one.inputs[:1])
    texts = {kind: [unit.text for unit in assemble(one, kind)[::2]] for kind in PROMPT_TYPES}
    shown = [display(x) for x in one.inputs]
    assert (
        texts["default"] == [f"{x}: " for x in shown] and texts["default"][0] == "amusement park: "
    )
    assert texts["instruct"] == texts["caption"] == texts["cot"] == texts["default"]
    assert texts["exact"] == [f"{x} {one.theta}: " for x in shown]
    one = next(one for one in samples(4, 2) if one.theta == "park")
    assert assemble(one, "exact")[0].text == f"{one.inputs[0]} park: "  # theta is a raw word


@pytest.mark.parametrize("mode", MODES)
def test_misleading_never_shows_theta(mode):
    for task in TASKS:
        for shots in (2, 4) if "ft" in mode else SHOTS:
            for one in samples(task, shots, mode):
                if mode == "ft_train_all" or (mode, shots) == ("ft_test", 4):
                    with pytest.raises(ValueError, match="misleading"):
                        assemble(one, "misleading")
                    continue
                written = [unit.text for unit in assemble(one, "misleading")[::2]]
                assert len(set(one.wrong)) == len(written)
                for text, x, wrong in zip(written, one.inputs, one.wrong, strict=True):
                    assert text == f"{display(x)} {wrong}: " and wrong != one.theta


def test_misleading_words_are_those_before_theta():
    record, one = prompt_list("default")[5], sample(9, 4, 5)
    assert one.wrong == tuple(WORDS["object"][place] for place in record.theta[:5])
    assert one.theta == WORDS["object"][record.theta[5]]
