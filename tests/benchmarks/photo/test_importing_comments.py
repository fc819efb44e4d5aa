"""Comments become critiques step by step; what a step rejects is kept with the reason."""

import json

import pytest
import toy
from chat_server import completion, serving, text_of
from PIL import Image

from mllm.benchmarks.photo.benchmark import Benchmark, prepare
from mllm.benchmarks.photo.importers import comments, writers, writing
from mllm.benchmarks.photo.importers.cleaning import clean_comments
from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.importers.subjects import WORDS, by_topic, topics_of
from mllm.benchmarks.photo.row import validate
from mllm.benchmarks.photo.taxonomy import TOPICS
from mllm.checkpoints.folder import save_model

GOOD = [
    "Hi! Congrats on the ribbon. I gave it a 7.",
    "The warm light on the face is lovely. The horizon is tilted, though it is not much.",
    "Great colors &amp; strong contrast.<br>The warm light on the face is lovely.",
    "You should crop the left side. 8/10",
]
CHAT = ["Congrats!", "Good luck in the challenge.", "9"]
VAGUE = ["I really like what you did here."]


@pytest.fixture
def folder(tmp_path):
    """Four pictures with comments: good ones twice, talk, and vague words."""
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    for number in range(4):
        shade = Image.new("RGB", (20, 16), (60 * number, 9, 9))
        (source / "images" / f"{number}.png").write_bytes(toy.png(shade).data)
    found = [(0, GOOD), (1, CHAT), (2, VAGUE), (3, GOOD[1:])]
    lines = [json.dumps({"image": f"{number}.png", "comments": said}) for number, said in found]
    (source / "comments.jsonl").write_text("\n".join(lines) + "\n")
    return source


def read(folder, **options):
    options = Options(**{"validation": 0, "test": 0, **options})
    ledger = Ledger(options.actions)
    found = comments.read(folder, options, ledger, folder.parent / "work")
    photos = [photo for rows in found.values() for photo in rows]
    for photo in photos:
        validate(photo)
    return photos, ledger


def test_sentences_about_the_photograph_stay():
    cleaned = clean_comments([*GOOD, "See http://x.example [b]the sky is too dark[/b]. \u2026 ok"])
    assert cleaned.sentences == (
        "The warm light on the face is lovely.",
        "The horizon is tilted, though it is not much.",
        "Great colors & strong contrast.",
        "You should crop the left side.",
        "See the sky is too dark .",
    )
    assert cleaned.dropped == {"greeting": 2, "score": 2, "repeated": 1, "too_short": 2}
    assert clean_comments(CHAT).sentences == ()
    assert clean_comments(["The first place I looked is the blue sky."]).sentences == ()
    assert clean_comments(["Deep blue sky and green hills."]).sentences != ()


def test_topics_are_those_of_the_tree():
    assert set(WORDS) == set(TOPICS)
    assert topics_of("The blurry background and ISO noise.") == [
        "Composition",
        "Camera/Equipment",
        "Aperture and Focus",
    ]
    assert topics_of("A dog runs.") == []
    assert by_topic(["Too dark.", "The mood is calm.", "Too bright."]) == {
        "Exposure": ("Too dark.", "Too bright."),
        "Storytelling": ("The mood is calm.",),
    }


def test_rules_make_critiques_and_say_what_they_reject(folder):
    (one, other), ledger = read(folder)
    assert one.critique.description == (
        "The warm light on the face is lovely. Great colors & strong contrast."
    )
    assert one.critique.weaknesses == "The horizon is tilted, though it is not much."
    assert one.critique.advice == "You should crop the left side."
    assert one.critique.statements["Lighting"] == ("The warm light on the face is lovely.",)
    assert [role for role, _ in one.conversation] == ["user", "assistant"] * 3
    assert one.conversation[1][1] == one.critique.description and one.questions == ()
    assert one.record["source_comments"] == GOOD and one.record["rows"] == ["line 1"]
    assert one.record["writer"] == {"rules": writers.RULES} and other.source != one.source
    rejected = [(r["picture"], r["step"], r["reason"]) for r in ledger.rejected]
    assert rejected == [
        ("1.png", "clean", "no sentence is about the photograph"),
        ("2.png", "summarise", "the comments say nothing of the photograph"),
    ]
    assert ledger.rejected[0]["source_comments"] == CHAT
    assert ledger.counts["rejected_in_clean"] == ledger.counts["rejected_in_summarise"] == 1
    assert ledger.counts["without_question"] == 2 and ledger.counts["comments"] == 11


def test_one_comment_a_row_and_the_same_picture_under_two_names(folder):
    (folder / "images" / "copy.png").write_bytes((folder / "images" / "0.png").read_bytes())
    lines = ["image,comment", *(f'0.png,"{text}"' for text in GOOD[:2]), f'copy,"{GOOD[3]}"']
    (folder / "comments.jsonl").unlink()
    (folder / "comments.csv").write_text("\n".join(lines))
    (photo,), ledger = read(folder)
    assert photo.record["source_comments"] == [GOOD[0], GOOD[1], GOOD[3]]
    assert photo.record["rows"] == ["line 2", "line 3", "line 4"] and ledger.counts["rows"] == 3
    (folder / "comments.csv").write_text("image,comment\n0.png,\n")
    with pytest.raises(ValueError, match=r"line 2, 'comments': .* expected a value of column"):
        read(folder)


WRITTEN = {
    "Analyze and summarize": "The light is warm and the horizon tilts. Cropping would help.",
    "Does the critique": "Yes, it does.",
    "Rewrite": "**Description:** Warm light.\nWeaknesses: It tilts.\nHow to improve: Crop.",
    "Write one question": "Question: How is the horizon?\nA. level\nB. tilted\nC. hidden\n"
    "D. curved\nAnswer: B\nTopic: Composition\nSub-topic: Directional Lines",
}


def written(body) -> str:
    found = (text for start, text in WRITTEN.items() if start in text_of(body))
    return next(found, "A")  # to a question without the photograph


def test_an_endpoint_writes_once_and_a_stopped_import_goes_on(folder, tmp_path):
    def behave(body, attempt):
        if state["left"] == 0:
            return 400, {}, {"error": {"message": "out of credit"}}
        state["left"] -= 1
        return 200, {}, completion(written(body))

    state = {"left": 3}
    with serving(behave) as server:
        endpoint = {"url": server.url, "model": "m", "key_variable": "", "concurrency": 1}
        options = {"writer": "endpoint", "endpoint": endpoint}
        with pytest.raises(
            ValueError, match=r"the writer failed .* out of credit.* run the command again"
        ):
            read(folder, **options)
        state["left"] = 100
        photos, ledger = read(folder, **options)
        assert len(photos) == 3  # the vague one, too: this writer has something to say
        asked = 100 - state["left"]
        assert read(folder, **options)[0] == photos and 100 - state["left"] == asked
    photo = photos[0]
    (question,) = photo.questions
    assert (question.options, question.key) == (("level", "tilted", "hidden", "curved"), 1)
    assert (question.topic, question.subtopic) == ("Composition", "Directional Lines")
    assert photo.critique.description == "Warm light." and photo.critique.advice == "Crop."
    assert photo.record["writer"]["model"] == "m" and ledger.counts["questions"] == 3


@pytest.mark.parametrize(
    "start, text, step, reason",
    [
        (
            "Analyze and summarize",
            "NONE",
            "summarise",
            "the comments say nothing of the photograph",
        ),
        ("Does the critique", "No.", "filter", "the verdict is 'No.'"),
        ("Does the critique", "Perhaps", "filter", "the verdict is 'Perhaps'"),
        ("Rewrite", "A fine photo.", "convert", "no description stands in the reply"),
    ],
)
def test_each_step_can_reject(folder, start, text, step, reason):
    answers = {**WRITTEN, start: text}

    def behave(body, attempt):
        said = text_of(body)
        return 200, {}, completion(next((t for s, t in answers.items() if s in said), "A"))

    with serving(behave) as server:
        endpoint = {"url": server.url, "model": "m", "key_variable": ""}
        with pytest.raises(
            ValueError, match=f"no comments became a critique; .*rejected in {step}: 3"
        ):
            read(folder, writer="endpoint", endpoint=endpoint)


def test_a_question_that_needs_no_photograph_is_dropped(folder):
    def behave(body, attempt):
        said = text_of(body)
        if "Answer with the option" in said:  # knows that it tilts, wherever that stands
            return 200, {}, completion(next(x[0] for x in said.split("\n") if x[3:] == "tilted"))
        return 200, {}, completion(written(body))

    with serving(behave) as server:
        endpoint = {"url": server.url, "model": "m", "key_variable": ""}
        photos, ledger = read(folder, writer="endpoint", endpoint=endpoint)
    assert len(photos) == ledger.counts["without_question"] == 3
    assert all(one.questions == () for one in photos)
    assert photos[0].record["no_question"].startswith("answered without the photograph")


def test_a_refusal_is_no_critique(folder):
    def behave(body, attempt):
        return 200, {}, completion(None, refusal="I cannot help with that.")

    with serving(behave) as server:
        endpoint = {"url": server.url, "model": "m", "key_variable": ""}
        with pytest.raises(ValueError, match="rejected in summarise: 3"):
            read(folder, writer="endpoint", endpoint=endpoint)


@pytest.mark.parametrize(
    "text",
    [
        "Question: How?\nA. a\nB. b\nC. c\nAnswer: A\nTopic: Lens\nSub-topic: Type",
        "Question: How?\nA. a\nB. b\nC. c\nD. d\nAnswer: E\nTopic: Lens\nSub-topic: Type",
        "Question: How?\nA. a\nB. b\nC. c\nD. d\nAnswer: A\nTopic: Weather\nSub-topic: Type",
    ],
)
def test_a_question_that_cannot_be_used_is_counted(folder, text, monkeypatch):
    monkeypatch.setitem(writers._STEPS, "ask", lambda known: text)
    photos, ledger = read(folder)
    assert ledger.counts["without_question"] == len(photos) == 2
    for photo in photos:
        assert photo.questions == () and "question of the writer" in photo.record["no_question"]


def test_replies_are_read_as_people_write_them():
    assert writing.read_critique(" None. \n") is None and writing.read_critique("a\nb") == "a b"
    assert [writing.read_verdict(t) for t in ("YES!", "no, not", "maybe", "")] == [
        True,
        False,
        None,
        None,
    ]
    parts = writing.read_parts(
        "Sure:\n- Description: Warm.\nMore.\nWeaknesses: None\nHow to improve: n/a"
    )
    assert parts == writing.Parts("Warm. More.", "", "")
    assert writing.read_parts("Weaknesses: dark") is None
    row = writing.read_question("1. Question: How?\n(A) a\nB) b\nanswer: B\nSubtopic: x")
    assert row == {"question": "How?", "A": "a", "B": "b", "answer": "B", "subtopic": "x"}


@pytest.mark.thorough
def test_a_model_of_ours_writes_and_is_not_asked_twice(folder, tmp_path, monkeypatch):
    save_model(tmp_path / "model", toy.make_model())
    monkeypatch.setattr(writing, "LIMITS", dict.fromkeys(writing.LIMITS, 2))
    asked, answer = [], writers.LocalModel.answer

    def count(self, requests, done):
        for lot in answer(self, requests, done):
            asked.extend(lot)
            yield lot

    monkeypatch.setattr(writers.LocalModel, "answer", count)
    for _ in range(2):  # random weights write nothing that passes
        with pytest.raises(ValueError, match="no comments became a critique"):
            read(folder, writer="model", model=str(tmp_path / "model"))
        assert len(asked) >= 3
    assert len({reply.key for reply in asked}) == len(asked)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"writer": "model"}, "needs model: the folder"),
        ({"writer": "endpoint"}, "needs endpoint.model and endpoint.url"),
        (
            {"writer": "endpoint", "endpoint": {"ulr": ""}},
            "unknown field of endpoint 'ulr'; did you mean",
        ),
    ],
)
def test_a_writer_must_be_described(folder, options, message):
    with pytest.raises(ValueError, match=message):
        read(folder, **options)
    with pytest.raises(ValueError, match="unknown writer 'ruels'; did you mean 'rules'"):
        Options(writer="ruels")


def test_splits_follow_from_the_picture():
    options = Options(validation=0.2, test=0.3)
    found = [comments.split_of(f"{number:064x}", options) for number in range(2000)]
    shares = [found.count(split) / 2000 for split in ("train", "validation", "test")]
    assert shares == pytest.approx([0.5, 0.2, 0.3], abs=0.03)
    moved = [comments.split_of(f"{n:064x}", Options(validation=0.3, test=0.3)) for n in range(2000)]
    assert all(a == b for a, b in zip(found, moved, strict=True) if a == "test")


def test_an_import_of_comments_is_a_benchmark(folder, tmp_path):
    options = Options(validation=0, test=0)
    made = prepare(tmp_path / "data", "comments", source=folder, options=options)
    opened = Benchmark.open(tmp_path / "data", "comments", source=folder, options=options)
    assert opened.splits == ("train",) and opened.fingerprint == made.fingerprint
    assert list(opened.photos("train")) == read(folder)[0]
    lines = (opened.folder / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == ["clean", "summarise"]
