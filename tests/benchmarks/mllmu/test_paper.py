"""The paper protocol: prompts letter by letter, draws, switches, reading; neither batching nor a
kill changes a reply. ``test_paper_truth`` compares all of it with the published script.
"""

import io
import random
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from toy import make_model

from mllm.benchmarks.mllmu.metrics import accuracy_parsed
from mllm.benchmarks.mllmu.paper import paper_items, paper_records, paper_rounds, shots_of
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol, make_query, make_shot, read_answer
from mllm.benchmarks.mllmu.schema import Profile, Question
from mllm.benchmarks.mllmu.scores import score_replies
from mllm.evaluation import branching, runner
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import collect
from mllm.files import read_jsonl

pytestmark = pytest.mark.thorough

OPTIONS = {"A": "Rome", "B": "Oslo", "C": "Bern", "D": "Riga"}
FEW = PaperProtocol(seed=7, max_new_tokens=5).for_family("llava")


def question(task, modality="image_text", index=0, profile="p", text="Who __?"):
    options, answer = (OPTIONS, "B") if task == "classification" else (None, "Ada")
    return Question(profile, task, modality, index, text, options, answer, "")


def make_profile(name: str, pictures: int = 1) -> Profile:
    questions = [
        question(task, modality, index, name, f"{name} {task} {index} __?")
        for task, count in (("classification", 2), ("generation", 1), ("cloze", 2))
        for modality in ("image_text", "text")
        for index in range(count)
    ]
    images = []
    for number in range(pictures):
        buffer = io.BytesIO()
        color = (sum(name.encode()) % 256, number * 90, 0)
        Image.new("RGB", (16, 16), color).save(buffer, "PNG")
        images.append(buffer.getvalue())
    return Profile(name, name, "fictitious", tuple(images), questions=tuple(questions))


FULL = [make_profile(f"p{number}") for number in range(7)]
TEST = [make_profile(f"p{number}", pictures=3) for number in (2, 0, 1)]
SETS = {
    "forget": FULL[:3],
    "retain": FULL[3:],
    "celebrity": [make_profile(f"c{number}") for number in range(2)],
    "test": TEST,
}


@pytest.fixture(scope="module", autouse=True)
def few_programs():
    """One width of prompts, so that less is compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(branching, "BUCKET", 576)
        yield


@pytest.fixture(scope="module")
def model():
    return make_model(2)


@pytest.fixture(scope="module")
def items():
    return paper_items(SETS, FULL, FEW)


def ask(model, items, protocol, folder, progress=None, rows=4) -> list[dict]:
    """The records of items."""
    answerer = LocalModel(model, rows=rows, refuse_long=protocol.overflow == "refuse")
    rounds = paper_rounds(items, protocol)
    answered = collect(rounds, {"subject": answerer}, folder, {"digest": "x"}, progress=progress)
    return paper_records(answered, protocol)


@pytest.fixture(scope="module")
def records(model, items, tmp_path_factory):
    return ask(model, items, FEW, tmp_path_factory.mktemp("paper"))


@pytest.mark.parametrize(
    "make, task, shown, expected",
    [
        (
            make_shot,
            "classification",
            True,
            "USER: <image>\nQuestion: Who __?\nA: Rome\nB: Oslo\nC: Bern\nD: Riga\n"
            "Correct Answer: B\n",
        ),
        (
            make_shot,
            "classification",
            False,
            "USER:\nQuestion: Who __?\nA: Rome\nB: Oslo\nC: Bern\nD: Riga\nCorrect Answer: B\n",
        ),
        (
            make_shot,
            "cloze",
            True,
            "USER:<image>\nWho [Blank]?\nPlease **ONLY** provide the correct answer that should "
            "replace the [Blank].\nCorrect Answer: Ada\n",
        ),
        (
            make_shot,
            "cloze",
            False,
            "USER:\nWho [Blank]?\nPlease **ONLY** provide the correct answer that should "
            "replace the [Blank].\nCorrect Answer: Ada\n",
        ),
        (
            make_query,
            "classification",
            True,
            "USER: <image>\nWho __?\nA: Rome\nB: Oslo\nC: Bern\nD: Riga\n"
            "Just give ONE letter representing the answer directly.\nASSISTANT:",
        ),
        (
            make_query,
            "classification",
            False,
            "USER:\nWho __?\nA: Rome\nB: Oslo\nC: Bern\nD: Riga\n"
            "Just give ONE letter representing the answer directly.\nASSISTANT:",
        ),
        (
            make_query,
            "cloze",
            True,
            "USER: <image>\nWho [Blank]?\nPlease **ONLY** provide the correct answer that should "
            "replace the [Blank].\nASSISTANT:",
        ),
        (
            make_query,
            "cloze",
            False,
            "USER:\nWho [Blank]?\nPlease **ONLY** provide the correct answer that should "
            "replace the [Blank].\nASSISTANT:",
        ),
        (
            make_query,
            "generation",
            True,
            "USER: <image>\nWho __?\nAnswer the question based on your trained knowledge in one "
            "sentence accurately in ENGLISH.\nASSISTANT: ",
        ),
        (
            make_query,
            "generation",
            False,
            "USER: Who __?\nAnswer the question based on your trained knowledge in one sentence "
            "in ENGLISH.\nASSISTANT:",
        ),
    ],
)
def test_prompts_are_the_published_ones(make, task, shown, expected):
    assert make(question(task), shown) == expected


def test_a_longer_blank_is_as_many_blanks():
    asked = make_query(question("cloze", text="In ____ or __"), True)
    assert "In [Blank][Blank] or [Blank]\n" in asked


def test_the_draws_follow_one_stream_in_the_order_of_the_script(items):
    rng = random.Random(7)
    shots, shown = {}, {}
    for name, tasks in (
        ("forget", ("cloze", "classification", "generation")),
        ("test", ("classification", "cloze", "generation")),
        ("retain", ("cloze", "classification", "generation")),
        ("celebrity", ("cloze", "classification", "generation")),
    ):
        drawn_from = [profile.id for profile in SETS["forget" if name == "test" else name]]
        for task in tasks:
            count = {"cloze": 2, "classification": 1, "generation": 0}[task]
            drawn = rng.sample(drawn_from, count) if count else []
            shots[name, task] = sorted(set(drawn) & {profile.id for profile in FULL})
            if name == "test":
                for profile in TEST:
                    shown[task, profile.id] = rng.choice([0, 1, 2])
    assert len({(item.set, item.question.task) for item in items}) == 12
    for item in items:
        task = item.question.task
        assert list(item.shots) == shots[item.set, task]
        if item.set == "test" and item.image is not None:
            assert item.image == shown[task, item.question.profile]
    assert len(set(shown.values())) > 1


def test_shots_stand_in_front_with_their_portraits_and_are_not_asked(items):
    portraits = {profile.id: profile.images[0] for profile in FULL}
    for item in items:
        shown = item.image is not None
        assert item.prompt.count("<image>") == len(item.pictures)
        told = 0 if item.set == "celebrity" else 2 * len(item.shots)
        assert item.prompt.count("Correct Answer: ") == told
        assert len(item.pictures) == (told + 1 if shown else 0)
        assert item.question.profile not in item.shots
        if shown and told:
            expected = [portraits[shot] for shot in item.shots for _ in range(2)]
            assert list(item.pictures[:-1]) == expected
    asked = {(i.set, i.question.task): 0 for i in items}
    for item in items:
        asked[item.set, item.question.task] += 1
    assert asked["forget", "classification"] == 2 * 4 and asked["forget", "cloze"] == 4
    assert asked["celebrity", "classification"] == asked["celebrity", "cloze"] == 2 * 4
    assert asked["test", "generation"] == 3 * 2


def test_a_cloze_is_skipped_by_its_place_among_all_clozes():
    """The test set's clozes may come in another order: those at the same place are left out."""
    clozes = [q for q in FULL[0].questions if q.task == "cloze"]
    turned = replace(FULL[0], questions=tuple(clozes[i] for i in (0, 2, 1, 3)))
    sets = {"forget": FULL[:1], "test": [turned]}
    once = replace(FEW, cloze_shots=1)
    asked = [i.question for i in paper_items(sets, FULL, once) if i.question.task == "cloze"]
    assert asked == [clozes[2], clozes[1]]


def test_switches_change_what_is_asked(items):
    def made(**changes):
        return paper_items(SETS, FULL, replace(FEW, **changes))

    zero = made(shots_from="none")
    assert all(item.shots == () and len(item.pictures) <= 1 for item in zero)
    assert len(zero) == 10 * (3 + 3 + 4 + 2)
    kept = {profile.id for profile in SETS["retain"]}
    told = made(shots_from="retain")
    assert {shot for item in told for shot in item.shots} <= kept
    assert all(item.shots for item in told if item.question.task == "cloze")
    assert not any(
        item.shots
        for item in told
        if item.set == "celebrity" and item.question.task == "classification"
    )
    assert len(made(skip_shots=False)) == len(zero)
    assert {item.image for item in made(test_image="first")} == {0, None}
    spaces = [item.prompt[-1] == " " for item in items]
    assert sum(spaces) == 3 + 3 + 4 + 2
    assert not any(i.prompt[-1] == " " for i in made(generation_trailing_space=False))


def test_families_differ_where_the_script_does():
    llava, idefics = (PaperProtocol().for_family(name) for name in ("llava", "idefics2"))
    assert [p.shots("classification") for p in (llava, idefics)] == [1, 1]
    assert [p.shots("cloze") for p in (llava, idefics)] == [2, 1]
    assert [p.new_tokens("classification", False) for p in (llava, idefics)] == [50, 5]
    assert idefics.new_tokens("classification", True) == idefics.new_tokens("cloze", False) == 50
    assert PaperProtocol(cloze_shots=3).for_family("idefics2").cloze_shots == 3


@pytest.mark.parametrize(
    "decoded, task, answer",
    [
        ("SER: q\nASSISTANT: B. Oslo ", "classification", "B. Oslo"),
        ("SER: q\nASSISTANT: B\nASSISTANT: C", "cloze", "B"),
        ("a question on ASSISTANT: roles\nASSISTANT: B", "generation", "roles"),
        ("Correct Answer: x\nAnswer: y", "cloze", "x"),
        ("Correct Answer: x", "classification", "Correct Answer: x"),
        (" nothing ", "generation", "nothing"),
    ],
)
def test_the_answer_is_cut_out_as_published(decoded, task, answer):
    if decoded.startswith("Correct Answer: x\n"):
        answer = "x\n"  # up to the second mark
    assert read_answer(decoded, task) == answer.strip()


@pytest.mark.slow
def test_records_hold_what_was_shown_and_generated(model, items, records):
    assert len({record["key"] for record in records}) == len(records) == len(items)
    for item, record in zip(items, records, strict=True):
        assert record["prompt"] == item.prompt and record["shots"] == list(item.shots)
        assert record["image"] == item.image
        assert record["decoded"].endswith(record["generated"])
        assert record["option_logprobs"] is record["letter_logprobs"] is None


@pytest.mark.slow
def test_the_batch_changes_no_reply(model, items, records, tmp_path):
    alone = ask(model, items[::16], FEW, tmp_path, rows=1)
    assert alone == records[::16]


@pytest.mark.slow
def test_scores_have_no_measure_that_needs_probabilities(records):
    scores = score_replies(records, protocol="paper")
    found = {(score["task"], score["metric"]) for score in scores}
    free = {("generation", name) for name in ("rouge1", "rouge2", "rougeL", "bleu")}
    clozes = {("cloze", "exact"), ("cloze", "substring")}
    assert found == {("classification", "accuracy_parsed")} | free | clozes
    assert {score["set"] for score in scores} == set(SETS)


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_and_new_rules_read_old_replies(
    model, items, records, tmp_path, monkeypatch
):
    items, records = items[:12], records[:12]

    class Killed(BaseException):
        pass

    calls = []

    def kill(done, asked):
        calls.append(done)
        if len(calls) == 2:
            raise Killed

    with pytest.raises(Killed):
        ask(model, items, FEW, tmp_path, kill)
    assert 0 < len(read_jsonl(tmp_path / "replies.jsonl")) < len(items)
    assert ask(model, items, FEW, tmp_path) == records
    assert len(read_jsonl(tmp_path / "replies.jsonl")) == len(items)
    assert shots_of(items)["forget"]["cloze"] == list(items[0].shots) != []

    monkeypatch.setattr(runner, "_Asker", lambda *args: pytest.fail("the model was asked"))
    other = replace(FEW, parse="reply", choice_rule="strict")
    read = ask(model, items, other, tmp_path)
    assert [r["reply"] for r in read] == [r["generated"].strip() for r in records]
    assert {record["choice_rule"] for record in read} == {"strict"}


def test_the_rule_for_letters_is_the_records():
    record = {"reply": "According to A", "options": OPTIONS, "gold": "A"}
    assert accuracy_parsed(record, "paper") == 1 and accuracy_parsed(record, "strict") == 0
    assert accuracy_parsed({**record, "choice_rule": "strict"}, "paper") == 0


def test_a_model_that_gives_no_numbers_has_not_answered(items, tmp_path):
    broken = make_model(2)
    decoder = broken.variables["params"]["decoder"]
    decoder["norm"]["scale"] = decoder["norm"]["scale"] * np.nan
    found = ask(broken, items[:2], FEW, tmp_path)
    assert [record["state"] for record in found] == ["error", "error"]


def test_prompts_beyond_the_models_positions_are_refused_before_anything_is_asked(
    model, items, tmp_path
):
    short = replace(model.config.decoder, max_positions=400)
    narrow = replace(model, config=replace(model.config, decoder=short))
    message = r"p2, request \w+: has \d+ tokens, 20 of them of 5 media and needs 5 more .* "
    message += r"room for 400: .*Set evaluation\.paper\.cloze_shots=1, "
    with pytest.raises(ValueError, match=message):
        ask(narrow, items, FEW, tmp_path)
    assert not read_jsonl(tmp_path / "replies.jsonl")
    long = [item for item in items if len(item.pictures) == 3][:2]
    run = replace(FEW, overflow="run")
    expected = ask(model, long, FEW, tmp_path / "wide")
    assert ask(narrow, long, run, tmp_path / "run") == expected


@pytest.mark.parametrize(
    "switch, message",
    [
        (
            {"shots_from": "retained"},
            r"unknown value of evaluation\.paper\.shots_from 'retained'; did you mean 'retain'\?",
        ),
        ({"parse": "all"}, "evaluation.paper.parse 'all'"),
        ({"max_new_tokens": 0}, "evaluation.paper.max_new_tokens is 0, expected >= 1"),
    ],
)
def test_mistaken_switches_are_named(switch, message):
    with pytest.raises(ValueError, match=message):
        PaperProtocol(**switch)


def test_more_shots_than_profiles_are_refused():
    with pytest.raises(ValueError, match=r"celebrity/cloze: 3 profiles .* has 2: set evaluation"):
        paper_items(SETS, FULL, replace(FEW, cloze_shots=3))
