"""Odd questions: which of them each protocol asks, in which form, and how the others are listed."""

import io
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mllm.benchmarks.mllmu.answerable import notes, paper_form, strict_form
from mllm.benchmarks.mllmu.ask import paper_questions, strict_questions
from mllm.benchmarks.mllmu.metrics import accuracy_parsed
from mllm.benchmarks.mllmu.paper import paper_items
from mllm.benchmarks.mllmu.paper_pictures import as_published
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol, make_query, make_shot
from mllm.benchmarks.mllmu.schema import Profile, Question, TrainingPair
from mllm.benchmarks.mllmu.sets import TrainingExamples
from mllm.benchmarks.mllmu.strict import StrictProtocol
from mllm.data.images import decode

OPTIONS = {"A": "Rome", "B": "Oslo", "C": "Bern", "D": "Riga"}
CHOICE = Question("p", "classification", "text", 0, "Where?", OPTIONS, "B", "")
CLOZE = Question("p", "cloze", "text", 0, "In __.", None, "Oslo", "")
TOLD = replace(CLOZE, task="generation")
FIVE = {**OPTIONS, "E": "Kyiv"}
GAP = {**OPTIONS, "C": None}

# question, why strict leaves it out (None: it does not), why paper does
ODD = {
    "as it should be": (CHOICE, None, None),
    "a small letter": (replace(CHOICE, answer="b "), None, None),
    "no such letter": (replace(CHOICE, answer="E"), "'E' is not the letter", None),
    "a letter and more": (replace(CHOICE, answer="B."), r"'B\.' is not the letter", None),
    "the option's text": (replace(CHOICE, answer="Oslo"), "'Oslo' is not the letter", None),
    "no letter": (replace(CHOICE, answer=None), "None is not the letter", None),
    "an option of None": (replace(CHOICE, options=GAP), "no option C", None),
    "an empty option": (replace(CHOICE, options={**OPTIONS, "D": " "}), "no option D", None),
    "no options": (replace(CHOICE, options={}), "no option A, B, C, D", "no options"),
    "five options": (replace(CHOICE, options=FIVE, answer="E"), None, None),
    "letters of other rows": (replace(CHOICE, options={**OPTIONS, "E": None}), None, None),
    "another order": (replace(CHOICE, options=dict(reversed(OPTIONS.items()))), None, None),
    "no text": (replace(CHOICE, question=None), "has no text", None),
    "a blank text": (replace(CHOICE, question=" "), "has no text", None),
    "an empty truth": (replace(CLOZE, answer=""), "truth is empty", None),
    "a truth of None": (replace(CLOZE, answer=None), "truth is empty", "no truth"),
    "an empty truth to tell": (replace(TOLD, answer=""), "truth is empty", None),
    "a cloze without a text": (replace(CLOZE, question=None), "has no text", "no text"),
    "a cloze of no type": (replace(CLOZE, modality="Audio"), "Type is 'Audio'", "Type is 'Audio'"),
    "telling of no type": (replace(TOLD, modality="None"), "Type is 'None'", None),
}


@pytest.mark.parametrize("name", ODD)
def test_each_protocol_says_whether_it_asks(name):
    question, *reasons = ODD[name]
    for form, reason in zip((strict_form, paper_form), reasons, strict=True):
        if reason is None:
            form(question)
            continue
        with pytest.raises(ValueError, match=reason):
            form(question)


def test_strict_reads_letters_and_options_and_paper_leaves_them_alone():
    asked = strict_form(ODD["a small letter"][0])
    assert (asked.answer, asked.options) == ("B", OPTIONS)
    assert list(strict_form(ODD["another order"][0]).options) == list("ABCD")
    assert strict_form(ODD["five options"][0]).options == FIVE
    assert strict_form(ODD["letters of other rows"][0]).options == OPTIONS
    for name in ("a small letter", "another order", "five options", "an option of None"):
        assert paper_form(ODD[name][0]) is ODD[name][0]
    assert paper_form(ODD["telling of no type"][0]).modality == "text"
    shown = make_query(replace(CHOICE, options={**GAP, "E": "Kyiv"}), False)
    assert "C: None\nD: Riga\nE: Kyiv\n" in shown
    told = make_shot(replace(CHOICE, options=dict(reversed(FIVE.items())), answer="B."), False)
    assert told.endswith("A: Rome\nB: Oslo\nC: Bern\nD: Riga\nCorrect Answer: B.\n")


@pytest.mark.parametrize(
    ("gold", "options", "reply", "right"),
    [
        ("b", OPTIONS, "B", 0),
        ("B ", OPTIONS, "B", 0),
        ("E", FIVE, "e.g.", 1),
        ("E", OPTIONS, "E", 0),
        (None, OPTIONS, "What?", 1),  # no letter is read, and none is right
        (None, OPTIONS, "A", 0),
        ("E", {**OPTIONS, "E": None}, "E", 1),
    ],
)
def test_a_choice_is_compared_as_published(gold, options, reply, right):
    record = {"reply": reply, "options": options, "gold": gold}
    assert accuracy_parsed(record, "paper") == right
    accuracy_parsed({**record, "choice_rule": "strict"}, "paper")


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def make_profile(name: str, color: str = "red", pictures: int = 1, **options) -> Profile:
    questions = [
        Question(name, task, modality, index, f"{name} {task} {index}?", choices, answer, "")
        for task, choices, answer in (("classification", OPTIONS, "A"), ("cloze", None, "Oslo"))
        for modality in ("image_text", "text")
        for index in range(2)
    ]
    images = (encoded(Image.new("RGB", (4, 4), color)),) * pictures
    return Profile(name, name, "fictitious", images, questions=tuple(questions), **options)


PROTOCOL = PaperProtocol(seed=3).for_family("llava")


def test_what_is_left_out_is_counted_and_listed():
    odd = replace(make_profile("p"), questions=tuple(question for question, *_ in ODD.values()))
    for questions, column in (
        (strict_questions({"forget": [odd]}, StrictProtocol()), 1),
        (paper_questions({"forget": [odd]}, [], replace(PROTOCOL, shots_from="none")), 2),
    ):
        reasons = [case[column] for case in ODD.values() if case[column]]
        listed = questions.conditions["skipped"]
        assert [one["profile"] for one in listed] == ["p"] * len(reasons)
        (note,) = questions.notes
        assert f"leaves out {len(reasons)} questions" in note
        assert note.endswith(f"and {len(reasons) - 3} more") == (len(reasons) > 3)
        asked = {request.tags["index"] for request in next(questions.rounds)}
        assert asked == {0}
    assert notes("strict", []) == ()
    plain = strict_questions({"forget": [make_profile("p")]}, StrictProtocol())
    assert "skipped" not in plain.conditions and not plain.notes


def test_a_test_row_with_a_picture_and_no_list_draws_nothing():
    forget = [make_profile(f"p{n}") for n in range(5)]
    single = [replace(profile, attributes={"pictures": "single"}) for profile in forget]
    for test, drawn in ((forget, True), (single, False)):
        items = paper_items({"forget": forget, "test": test}, forget, PROTOCOL)
        rng = random.Random(3)
        expected = {}
        for name in ("forget", "test"):
            for task in (
                ("cloze", "classification") if name == "forget" else ("classification", "cloze")
            ):
                count = {"cloze": 2, "classification": 1}[task]
                expected[name, task] = sorted(rng.sample([f"p{n}" for n in range(5)], count))
                for _ in test if name == "test" and drawn else ():
                    rng.choice([0])
        found = {(item.set, item.question.task): sorted(item.shots) for item in items}
        assert found == expected


def test_celebrities_who_share_an_id_with_the_pool_have_its_shots():
    pool = [make_profile("p0", "blue"), make_profile("p1", "green")]
    stars = [make_profile("p0", "red"), make_profile("c1", "red")]
    seed = next(s for s in range(99) if set(random.Random(s).sample(["p0", "c1"], 2)[:1]) == {"p0"})
    protocol = replace(PROTOCOL, seed=seed, cloze_shots=1)
    items = paper_items({"celebrity": stars}, pool, protocol)
    clozes = [item for item in items if item.question.task == "cloze"]
    assert {item.shots for item in clozes} == {("p0",)}
    assert {item.question.profile for item in clozes} == {"c1"}  # those of p0 were told
    shown = [item for item in clozes if item.image is not None]
    assert {item.pictures for item in shown} == {(*pool[0].images * 2, *stars[1].images)}
    rng = random.Random(seed)
    rng.sample(["p0", "c1"], 1)
    (drawn,) = rng.sample(["p0", "c1"], 1)
    choices = [item for item in items if item.question.task == "classification"]
    assert {item.shots for item in choices} == {()}
    assert not any("Correct Answer" in item.prompt for item in choices)
    # The script passes the pictures of the untold shots all the same; the first one is shown.
    expected = pool[0].images if drawn == "p0" else stars[0].images
    assert {item.pictures for item in choices if item.image is not None} == {expected}


def test_a_typed_image_token_is_asked_in_text_and_left_out_where_pictures_stand():
    typed = make_profile("p0")
    for shown, modality in ((True, "image_text"), (False, "text")):
        first = next(q for q in typed.questions if q.modality == modality)
        changed = replace(first, question=f"{first.question} <image>")
        questions = tuple(changed if q is first else q for q in typed.questions)
        profile = replace(typed, questions=questions)
        questions = paper_questions({"forget": [profile]}, [], replace(PROTOCOL, shots_from="none"))
        assert len(questions.conditions.get("skipped", ())) == shown
        requests = next(questions.rounds)
        assert len(requests) == len(profile.questions) - shown
        found = [request for request in requests if "? <image>\n" in request.turns[0].text]
        assert [request.turns[0].media for request in found] == [()] * (not shown)


def pictures() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (20, 28, 4), np.uint8), "RGBA")
    plain, turned = noise.convert("RGB"), Image.Exif()
    turned[0x0112] = 6
    palette = plain.convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    grey = Image.fromarray(rng.integers(0, 900, (20, 28)).astype(np.uint16))
    return {
        "plain PNG": encoded(plain),
        "plain JPEG": encoded(plain, "JPEG"),
        "CMYK JPEG": encoded(plain.convert("CMYK"), "JPEG"),
        "opaque palette": encoded(palette),
        "transparent": encoded(noise),
        "transparent palette": encoded(palette, transparency=3),
        "transparent grey": encoded(noise.convert("LA")),
        "a transparent colour": encoded(plain, transparency=plain.getpixel((0, 0))),
        "turned JPEG": encoded(plain, "JPEG", exif=turned),
        "turned PNG": encoded(plain, exif=turned),
        "turned WebP": encoded(noise, "WEBP", lossless=True, exif=turned),
        "turned TIFF": encoded(plain, "TIFF", exif=turned),
        "grey of 16 bits": encoded(grey),
    }


@pytest.mark.parametrize("name", pictures())
def test_a_picture_is_what_pillow_converts(name):
    data = pictures()[name]
    seen = as_published(data)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode(seen), image.convert("RGB"))
    assert (seen == data) == name.startswith(("plain", "CMYK", "opaque", "turned TIFF"))


def test_training_sees_pictures_as_its_switch_says():
    data = pictures()["turned JPEG"]
    pair = TrainingPair("Who?", "Bo", "image_text", "", "plain")
    profile = replace(make_profile("p"), images=(data,), training=(pair,))
    for switch, expected in (("upright", data), ("published", as_published(data))):
        (medium,) = TrainingExamples([profile], "", switch)[0].turns[0].media
        assert medium.data == expected


def test_the_switch_shows_pictures_as_strict_does():
    data = pictures()["turned JPEG"]
    profile = replace(make_profile("p"), images=(data,))
    for switch, same in (("upright", True), ("published", False)):
        protocol = replace(PROTOCOL, shots_from="none", pictures=switch)
        questions = paper_questions({"forget": [profile]}, [], protocol)
        shown = {m.data for request in next(questions.rounds) for m in request.turns[0].media}
        assert (shown == {data}) == same
        assert questions.conditions["protocol"]["pictures"] == switch
