"""Questions about people in the forms of each attack, as a model is shown them."""

from dataclasses import replace

import pytest

from mllm.benchmarks.mllmu import Benchmark
from mllm.benchmarks.mllmu.schema import Profile, Question, TrainingPair
from mllm.benchmarks.mllmu.stress import FORMS, attacks_on
from mllm.benchmarks.mllmu.stress.asked import MOST, Asked, evenly
from mllm.benchmarks.mllmu.stress.form import choice_request, plain, value
from mllm.benchmarks.mllmu.stress.training import answered, few
from mllm.benchmarks.mllmu.strict import Item
from mllm.evaluation.request import Reply
from tests.experiments.micro import get_config as micro_config

OPTIONS = {"A": "Oslo", "B": "Lima", "C": "Rome", "D": "Bern"}


def question(text, modality, person="p1"):
    return Question(person, "classification", modality, 0, text, OPTIONS, "B", "born")


ABOUT_NAME = question("Where was Ann Lee born?", "text")
ABOUT_PICTURE = question("Where was the person in the picture born?", "image_text")
OTHER = question("Where was Bo Dahl born?", "text", "p2")
PAIRS = tuple(
    TrainingPair(text, answer, modality, attribute, form)
    for modality in ("text", "image_text")
    for text, answer, attribute, form in (
        ("Tell where.", "Ann was born in Lima.", "born", "sentence"),
        ("Born where?", "Lima", "born", "plain"),
        ("Which job?", "baker", "job", "plain"),
        ("What job?", "baker", "job", "plain"),
        ("Which hobby?", "chess", "hobby", "plain"),
        ("Who?", "Ann Lee", "name", "plain"),
    )
)
ANN = Profile("p1", "Ann Lee", "fictitious", (b"face",), training=PAIRS)
WORDS = {"text": "What is the birthplace of Ann Lee?", "image_text": "Birthplace of who is shown?"}
TEST = replace(
    ANN,
    images=(b"other face",),
    questions=tuple(question(text, modality) for modality, text in WORDS.items()),
)


def asked(modality):
    shown = modality == "image_text"
    one = ABOUT_PICTURE if shown else ABOUT_NAME
    return Asked(Item("forget", one, b"face" if shown else None), ANN, TEST, OTHER)


def read(turns):
    """Return what each turn shows: "text", or "text [bytes]"."""
    return [
        "".join(
            part if isinstance(part, str) else f"[{part.data.decode()}] " for part in turn.parts
        )
        for turn in turns
    ]


@pytest.mark.parametrize(
    "name, modality, wanted",
    [
        ("paraphrased", "text", ["What is the birthplace of Ann Lee?"]),
        ("paraphrased", "image_text", ["[face] Birthplace of who is shown?"]),
        ("swapped", "text", ["[face] Where was the person in the picture born?"]),
        ("swapped", "image_text", ["Where was Ann Lee born?"]),
        ("both", "text", ["[face] Where was Ann Lee born?"]),
        ("both", "image_text", ["[face] Where was Ann Lee born?"]),
        ("another", "image_text", ["[other face] Where was the person in the picture born?"]),
        ("mixed", "text", ["Where was Bo Dahl born?", "Lima", "Where was Ann Lee born?"]),
        (
            "hinted",
            "image_text",
            [
                *("[face] Which job?", "baker", "Which hobby?", "chess"),
                "Where was the person in the picture born?",
            ],
        ),
        ("begun", "text", ["Where was Ann Lee born? Answer in one sentence."]),
    ],
)
def test_what_a_model_is_shown(name, modality, wanted):
    assert read(FORMS[name](asked(modality)).turns) == wanted


@pytest.mark.parametrize("name", ["another", "mirrored", "cropped"])
def test_a_question_without_a_picture_has_no_form_with_another_one(name):
    assert FORMS[name](asked("text")) is None


def test_nothing_is_asked_where_the_data_do_not_have_the_form():
    one = asked("text")
    bare = replace(one, person=replace(ANN, training=(), name="Unnamed"), test=None, before=None)
    assert {name for name, make in FORMS.items() if make(bare) is not None} == set()
    moved = replace(one.question, attribute="job")  # the test set asks for another fact there
    assert FORMS["paraphrased"](replace(one, item=replace(one.item, question=moved))) is None


def test_a_begun_reply_is_scored_by_what_follows():
    one = asked("text")
    form = FORMS["begun"](one)
    assert form.options == tuple(f"Ann was born in {place}." for place in OPTIONS.values())
    request = choice_request("begun", one, form)
    reply = Reply("", logprobs=(-9.0, -5.0, -6.0, -8.0), tokens=(9, 3, 7, 9))
    assert value(request, reply) == 1  # per token the last one would be the likeliest
    assert value(choice_request("as_saved", one, plain(one)), reply) == 0


def test_questions_are_spaced_evenly():
    assert evenly(range(10), 3) == [0, 3, 6] and evenly([1, 2], 3) == [1, 2]


def test_five_facts_are_taught_and_not_asked():
    people = [replace(ANN, id=f"p{number}") for number in range(7)]
    pairs = [(person.id, pair) for person in people for pair in person.training]
    told = [pairs[number] for number in few(people)]
    assert [person for person, _ in told] == ["p0", "p1", "p2", "p4", "p5"]
    assert {pair.modality for _, pair in told} == {"text", "image_text"}
    assert all(pair.form == "plain" and pair.attribute != "name" for _, pair in told)
    every = [
        Asked(Item("forget", replace(ABOUT_NAME, profile=p.id, attribute=fact, index=n), None), p)
        for p in people
        for n, fact in enumerate(("born", "job", "hobby"))
    ]
    names = set(answered(people, every))
    left_out = {(o.question.profile, o.question.attribute) for o in every if o.name in names}
    assert left_out == {(person, pair.attribute) for person, pair in told}


def test_the_small_benchmark_has_every_form(data_dir):
    config = micro_config()
    config.benchmark.limit.update(forget=0, retain=0)
    benchmark = Benchmark.open(data_dir, "small")
    offered = attacks_on(config, benchmark, steps=1, learning_rate=1e-3)
    asked = [offered.questions[one.tags["question"]] for one in offered.plain]
    assert [one["set"] for one in asked].count("forget") == MOST["forget"]
    shown = [one for one in asked if one["modality"] == "image_text"]
    assert len(asked) == sum(MOST.values()) and abs(len(shown) - len(asked) / 2) < 4
    about = {
        name: [offered.questions[one.tags["question"]]["set"] for one in requests]
        for name, requests in offered.forms.items()
    }
    pictured = [one["set"] for one in shown].count("forget")
    assert {name: found.count("forget") for name, found in about.items() if name != "sampled"} == {
        **dict.fromkeys(("paraphrased", "swapped", "both", "mixed", "hinted", "begun"), 60),
        **dict.fromkeys(("mirrored", "cropped", "compressed", "darkened", "another"), pictured),
    }
    assert about["sampled"] == ["forget"] * (36 * 8)
    grouped = [name for group in offered.groups for name in group]
    assert sorted(grouped) == sorted(offered.forms)
    keys = [one.key for requests in (offered.plain, *offered.forms.values()) for one in requests]
    assert len(set(keys)) == len(keys)
    assert set(offered.relearning) == {
        *("relearn_few", "relearn_retain", "relearn_unrelated", "relearn_all")
    }
