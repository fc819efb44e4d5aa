"""The critique of a folder: asked once, written whole, and inert whatever files are called."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import PurePosixPath

import jax
import numpy as np
import pytest
import toy
from folder_of_photographs import HTML, PASSED, SEEN, make_folder
from PIL import Image

from mllm.benchmarks.photo.assistant import asking, command
from mllm.benchmarks.photo.assistant.asking import Question, Remark, request_of
from mllm.benchmarks.photo.assistant.files import Passed
from mllm.benchmarks.photo.assistant.gates import Seen
from mllm.benchmarks.photo.assistant.page import address, mean_gate, render
from mllm.benchmarks.photo.assistant.questions import PRESUMING, questions, untaught
from mllm.benchmarks.photo.assistant.result import Critiqued, Results, as_json
from mllm.benchmarks.photo.generate import SIZES
from mllm.benchmarks.photo.taxonomy import ATTRIBUTES, TOPICS
from mllm.evaluation.looks import explained
from mllm.evaluation.request import Choices, Text
from mllm.files import write_sealed

TWO = (
    Question("description", "What is it?", Text(4)),
    Question("topic", "How?", Choices(("dark", "bright")), "Exposure", "Settings"),
)
TOP = PurePosixPath(".")


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def model():
    return toy.make_model()


@pytest.fixture
def asked(monkeypatch):
    """The keys of all requests that reach the model; two questions a photograph."""
    keys, answer = [], asking.LocalModel.answer

    def count(self, requests, done):
        for lot in answer(self, requests, done):
            keys.extend(reply.key for reply in lot)
            yield lot

    monkeypatch.setattr(asking.LocalModel, "answer", count)
    monkeypatch.setattr(command, "questions", lambda untaught: TWO)
    return keys


def critique(model, folder, out, note=lambda line: None):
    return command.critique_folder(lambda: model, folder, out, note)


def test_a_mixed_folder_ends_with_pages_and_a_list_of_what_was_passed_over(model, asked, tmp_path):
    folder, lines = make_folder(tmp_path / "photos <1>"), []
    _, page = critique(model, folder, tmp_path / "out", lines.append)
    written = json.loads((tmp_path / "out" / "critique.json").read_text(encoding="utf-8"))
    assert {one["file"] for one in written["photographs"]} == set(SEEN)
    assert {one["file"] for one in written["passed_over"]} == set(PASSED)
    assert written["encoders"] == [] and written["folder"] == "photos <1>"
    first = written["photographs"][0]
    (described,), (exposure,) = first["description"], first["topics"]["Exposure"]
    assert described["question"] == "What is it?" and "gates" not in described
    assert exposure["text"] in exposure["options"] and 0.5 <= exposure["share"] <= 1
    said = f"photographs critiqued: {len(SEEN)}, files passed over: {len(PASSED)}; lot 1 of 1"
    assert lines == [said]
    html = page.read_text(encoding="utf-8")
    for name in [n for n in SEEN if "/" not in n] + list(PASSED):
        assert name in Page(html).text
    below = tmp_path / "out" / "folders" / "nested"
    assert "profile.png" in Page((below / "index.html").read_text(encoding="utf-8")).text
    assert "turned.jpg" in Page((below / "deep" / "index.html").read_text(encoding="utf-8")).text
    assert not list((tmp_path / "out").rglob("*.tmp"))


@pytest.mark.slow
def test_nothing_is_asked_twice(model, asked, tmp_path, monkeypatch):
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    for number in range(3):
        toy_png = toy.png(Image.new("RGB", (20, 16), (80 * number, 9, 9))).data
        (folder / f"{number}.png").write_bytes(toy_png)
    monkeypatch.setattr(command, "LOT", 2)

    def stop(line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        critique(model, folder, out, stop)
    assert len(asked) == 2 * len(TWO) and not (out / "critique.json").exists()
    critique(model, folder, out)
    assert len(asked) == len(set(asked)) == 3 * len(TWO)
    written = (out / "critique.json").read_bytes()
    (folder / "9.png").write_bytes((folder / "1.png").read_bytes())  # the same picture
    again = critique(model, folder, out)[0]
    assert len(asked) == 3 * len(TWO) and len(again.critiqued) == 4
    (folder / "9.png").unlink()
    critique(model, folder, out)
    assert len(asked) == 3 * len(TWO) and (out / "critique.json").read_bytes() == written
    critique(toy.make_model(seed=1), folder, out)  # other weights
    assert len(asked) == 6 * len(TWO)


@pytest.mark.thorough
@pytest.mark.slow
def test_gates_of_an_instructed_model_are_kept_with_the_answers(tmp_path):
    model, rng = toy.make_fused(), np.random.default_rng(0)
    params = model.variables["params"]
    moved = jax.tree.map(lambda x: x + rng.normal(0, 0.5, x.shape), params["fusion"])
    model = replace(model, variables={"params": {**params, "fusion": moved}})
    pictures = [toy.png(Image.new("RGB", (20, 30), (80 * n, 9, 9))).data for n in range(2)]
    critic = asking.Critic(model, TWO, tmp_path)
    assert critic.encoders == model.config.vision.names
    remarks = critic.remarks(pictures)
    requests = [request_of(picture, question) for picture in pictures for question in TWO]
    looks = explained(critic.model, requests)
    assert looks.keys == tuple(request.key for request in requests)
    found = [remark.seen.gates for row in remarks for remark in row]
    np.testing.assert_allclose(found, looks.gates, atol=1e-4)
    first, second = (row[0].seen.attention for row in remarks)
    for name in critic.encoders:
        rows, columns = np.shape(first[name])
        assert np.sum(first[name]) == pytest.approx(1, abs=1e-3) and rows * columns > 1
    assert first != second and remarks[0][1].seen.attention == {}
    assert np.ptp(found, axis=0).max() > 1e-3  # they differ between questions or pictures
    written = as_json(
        Results("x", {}, critic.encoders, [Critiqued("a", (1, 1), (), "", tuple(remarks[0]))])
    )
    gates = written["photographs"][0]["description"][0]["gates"]
    assert [tuple(layer) for layer in gates] == [critic.encoders] * model.config.fusion.layers

    again = asking.Critic(model, TWO, tmp_path)
    again.__dict__["model"] = None  # nothing is left to ask it
    assert again.remarks(pictures) == remarks


def test_a_folder_without_photographs_is_an_error_with_a_page(model, asked, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "text.jpg").write_text("no")
    with pytest.raises(
        ValueError, match=r"no file could be read as a photograph; .*index.html says"
    ):
        critique(model, tmp_path / "photos", tmp_path / "out")
    assert "is text, not a picture" in (tmp_path / "out" / "index.html").read_text()
    (tmp_path / "photos" / "text.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="holds no files"):
        critique(model, tmp_path / "photos", tmp_path / "out")


def results_of(*names: str, seen=None, text="It is <b>dark</b>.", encoders=()) -> Results:
    question = Question(
        "topic", "How?", Choices(("dark", "bright")), "Exposure", "", {}, {"dark": "Expose longer."}
    )
    remarks = (
        Remark(Question("description", "What?", Text(4)), text, seen=seen),
        Remark(question, "dark", share=0.9, seen=seen),
    )
    photographs = [
        Critiqued(name, (9, 6), (), "data:image/jpeg;base64,AA==", remarks) for name in names
    ]
    passed = [Passed("<script>x</script>", "</dd><script>y</script>")]
    return Results("<i>", {"weights": "12"}, encoders, photographs, passed)


def test_names_and_replies_are_inert():
    page = Page(render(results_of(HTML, "sub\u202e/x.png"), TOP))
    assert not {"script", "b", "i"} & {tag for tag, _ in page.tags}
    assert [names["src"] for tag, names in page.tags if tag == "img"] == [
        "data:image/jpeg;base64,AA=="
    ]
    assert not any(name.startswith("on") for _, names in page.tags for name in names)
    assert "It is <b>dark</b>." in page.text and HTML in page.text
    policy = next(n["content"] for t, n in page.tags if t == "meta" and "http-equiv" in n)
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_gates_are_shown_where_there_are_any():
    plain = render(results_of("a.png"), TOP)
    assert 'class="weights"' not in plain and "encoders" not in Page(plain).text
    seen = Seen(((0.5, 0.3, 0.2), (0.1, 0.7, 0.2)), {})
    page = render(results_of("a.png", seen=seen, encoders=("colour", "<edges>", "semantics")), TOP)
    widths = re.findall(r"width:([\d.]+)%", page)
    assert widths == ["30.0", "50.0", "20.0"] * 2
    assert "colour\xa030% · <edges>\xa050% · semantics\xa020%" in Page(page).text


def test_gates_are_means_over_layers_and_questions():
    one = Remark(TWO[0], "x", seen=Seen(((1.0, 0.0), (0.0, 1.0)), {}))
    other = Remark(TWO[0], "x", seen=Seen(((1.0, 0.0), (1.0, 0.0)), {}))
    assert mean_gate([one, other, Remark(TWO[0], "x")], ("a", "b")) == [("a", 0.75), ("b", 0.25)]
    assert mean_gate([Remark(TWO[0], "x")], ("a", "b")) == []


def test_advice_follows_only_what_is_likelier_than_all_else():
    question = Question("topic", "How?", Choices(("a", "b", "c")), advice={"a": "Do."})
    assert Remark(question, "a", share=0.5).advice == "Do."
    assert Remark(question, "a", share=0.4).advice is None
    assert Remark(question, "b", share=0.9).advice is None


def test_pages_have_addresses_of_their_own():
    folders = [TOP, *map(PurePosixPath, ("a", "a/b", "a/index.html", "index.html", "folders"))]
    found = {address(folder).as_posix() for folder in folders}
    assert len(found) == len(folders) and "index.html" in found
    assert "folders/a/index.html_/index.html" in found


def test_what_a_run_was_not_taught_is_not_asked(tmp_path):
    assert untaught(tmp_path) == frozenset()
    section = {"name": "photo", "config": "tiny"}
    write_sealed(tmp_path / "run.json", {"config": {"benchmark": section}, "files": {}})
    left_out = untaught(tmp_path)
    assert left_out == set(SIZES["tiny"].left_out)
    asked = {one.text for one in questions(left_out) if isinstance(one.ask, Choices)}
    assert asked
    for one in ATTRIBUTES.values():
        if one.operation in left_out:
            assert one.questions[0] not in asked
    section["config"] = "photobench"
    write_sealed(tmp_path / "run.json", {"config": {"benchmark": section}, "files": {}})
    assert untaught(tmp_path) == frozenset()


def test_all_topics_and_attributes_are_asked():
    asked = list(questions())
    assert len({request_of(b"", one).key for one in asked}) == len(asked)
    assert [one.part for one in asked[:3]] == ["description", "weaknesses", "advice"]
    assert list(dict.fromkeys(one.topic for one in asked[3:])) == list(TOPICS)
    assert set(PRESUMING) < set(ATTRIBUTES)
    count = sum(isinstance(one.ask, Choices) for one in asked)
    assert count == len(ATTRIBUTES) - len(PRESUMING)
    for one in asked:
        if isinstance(one.ask, Choices):
            assert set(one.sentences) == set(one.ask.texts) and set(one.advice) <= set(
                one.ask.texts
            )
