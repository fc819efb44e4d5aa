"""Every question is asked once, whatever is killed in between, and the reply is the model's."""

import io
import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from mllm.evaluation.protocol import Protocol, lettered_question, plain_question
from PIL import Image
from scipy.special import log_softmax
from toy import make_model

from mllm.benchmarks.mllmu.schema import Profile, Question
from mllm.evaluation import runner
from mllm.evaluation.runner import collect_replies, items_of
from mllm.files import read_jsonl

pytestmark = pytest.mark.thorough

PROTOCOL = Protocol(classification_tokens=4, cloze_tokens=4, generation_tokens=6, profiles=3)
WIDTH = 256  # tokens, more than any question with its options has
OPTIONS = {"A": "London", "B": "Paris", "C": "Ada", "D": "a much longer name"}


def portrait(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def make_profile(number: int, pictures: int = 1) -> Profile:
    name = f"p{number}"
    questions = []
    for modality in ("image_text", "text"):
        for task, count in (("classification", 5), ("generation", 2), ("cloze", 2)):
            for index in range(count):
                choice = task == "classification"
                text = f"Where was {number} {task} {index}?" + (" __" if task == "cloze" else "")
                options, answer = (OPTIONS, "B") if choice else (None, "Paris")
                questions.append(
                    Question(name, task, modality, index, text, options, answer, "born")
                )
    images = tuple(portrait(10 * number + i) for i in range(pictures))
    return Profile(name, name, "fictitious", images, {}, {}, tuple(questions), ())


@pytest.fixture(scope="module")
def model():
    return make_model(2)


@pytest.fixture(scope="module")
def items():
    return items_of(
        {"forget": [make_profile(0), make_profile(1)], "test": [make_profile(2, pictures=3)]}
    )


@pytest.fixture(scope="module")
def replies(model, items, tmp_path_factory):
    return collect_replies(model, items, PROTOCOL, tmp_path_factory.mktemp("eval"), {"digest": "x"})


def test_every_question_has_one_record(items, replies):
    assert len(replies) == len(items) == 54
    assert [r["key"] for r in replies] == [i.key for i in items]
    assert len({r["key"] for r in replies}) == 54


def test_a_profile_with_several_pictures_shows_them_in_turn(items):
    shown = {i.image for i in items if i.set == "test" and i.image is not None}
    assert len(shown) == 3


@pytest.mark.parametrize("system", [None, "Say nothing of people."])
def test_option_scores_equal_whole_rows(model, items, replies, system, tmp_path):
    """Prefix, question and option as one row, padded at its end, through the whole network."""
    if system is not None:
        model = replace(model, system_prompt=system)
        replies = collect_replies(model, items, PROTOCOL, tmp_path, {"digest": "x"})

    @jax.jit
    def logits(batch):
        states, _ = model.model.hidden(model.config, model.variables, batch)
        return states[0] @ model.model.head(model.config, model.variables)

    chosen = [k for k, i in enumerate(items) if i.question.task == "classification"][::7]
    for k in chosen:
        item, record = items[k], replies[k]
        for asked, choices, ended, found in (
            (item.question.question, OPTIONS.values(), True, record["option_logprobs"]),
            (
                lettered_question(item.question.question, OPTIONS),
                OPTIONS,
                False,
                record["letter_logprobs"],
            ),
        ):
            for choice, value in zip(choices, found, strict=True):
                grids = [(0, 0)] * (item.image is not None)
                prefix, suffix = model.processor.prompt(asked, grids, system)
                answer = model.processor.answer(choice, ended=ended)
                ids = np.array(prefix + suffix + answer, np.int32)
                padding = (0, WIDTH - len(ids))
                batch = {
                    "tokens": np.pad(ids, padding)[None],
                    "positions": np.pad(np.arange(len(ids), dtype=np.int32), padding)[None],
                    "segments": np.pad(np.zeros_like(ids), padding, constant_values=-1)[None],
                }
                if item.image is not None:
                    batch["images"] = model.processor.picture(item.image).tiles[None]
                    batch["image_slots"] = np.array(
                        [[prefix.index(model.processor.image_id)]], np.int32
                    )
                table = log_softmax(np.asarray(logits(batch), "float64"), axis=-1)
                places = np.arange(len(ids) - len(answer), len(ids))
                np.testing.assert_allclose(value, table[places - 1, ids[places]].sum(), rtol=1e-4)


@pytest.mark.parametrize("size", [1, 8])
def test_batch_size_changes_nothing(model, items, replies, tmp_path, size):
    again = collect_replies(model, items[::4], replace(PROTOCOL, profiles=size), tmp_path, {})
    for record, expected in zip(again, replies[::4], strict=True):
        assert record["reply"] == expected["reply"] and record["key"] == expected["key"]
        if expected["option_logprobs"]:
            for name in ("option_logprobs", "letter_logprobs"):
                np.testing.assert_allclose(record[name], expected[name], rtol=1e-4)


def test_a_killed_evaluation_goes_on_and_a_finished_one_calls_no_model(
    model, items, replies, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    class Counter:
        def __init__(self, limit):
            self.calls, self.limit = 0, limit

        def update(self, done):
            self.calls += 1
            if self.calls == self.limit:
                raise Killed

    with pytest.raises(Killed):
        collect_replies(model, items, PROTOCOL, tmp_path, {"digest": "x"}, Counter(3))
    path = tmp_path / "replies.jsonl"
    finished = len(read_jsonl(path))
    assert 0 < finished < len(items)
    with path.open("a") as file:  # a line that the kill tore
        file.write(json.dumps(replies[-1])[:50])
    rest = Counter(-1)
    resumed = collect_replies(model, items, PROTOCOL, tmp_path, {"digest": "x"}, rest)
    assert resumed == replies
    assert len(read_jsonl(path)) == len(items)
    monkeypatch.setattr(runner, "_Asker", lambda *args: pytest.fail("the model was asked"))
    assert collect_replies(model, items, PROTOCOL, tmp_path, {"digest": "x"}) == replies


def test_replies_of_other_weights_are_set_aside(model, items, tmp_path):
    few = items[:3]
    collect_replies(model, few, PROTOCOL, tmp_path, {"digest": "one"})
    other = make_model(3)
    found = collect_replies(other, few, PROTOCOL, tmp_path, {"digest": "two"})
    fresh = collect_replies(other, few, PROTOCOL, tmp_path / "fresh", {"digest": "two"})
    assert found == fresh
    assert len(list(tmp_path.glob("replies-*.jsonl"))) == 1


def test_prompts_are_the_protocols():
    assert plain_question("Where?", "classification") == "Where?"
    assert plain_question("In __.", "cloze") == "In __. Fill in the blank."
    lines = lettered_question("Where?", {"A": "x", "B": "y"}).split("\n")
    assert lines == ["Where?", "A: x", "B: y", "Answer with one letter."]


def test_a_system_prompt_is_read_once_for_all_questions_without_a_picture(
    model, items, tmp_path, monkeypatch
):
    system = "Say nothing of people, of their names, of where they were born, or of what they do."
    loaded = replace(model, system_prompt=system)
    spoken = set(model.processor.tokenizer.encode(system, add_special_tokens=False).ids)
    read, asked = [], []
    read_level, reply = runner.read_level, runner.reply

    def seen_read(loaded, ids, *arguments, **options):
        read.append(ids)
        return read_level(loaded, ids, *arguments, **options)

    def seen_reply(loaded, ids, *arguments):
        asked.append(ids)
        return reply(loaded, ids, *arguments)

    monkeypatch.setattr(runner, "read_level", seen_read)
    monkeypatch.setattr(runner, "reply", seen_reply)
    plain = [item for item in items if item.image is None]
    collect_replies(loaded, plain, PROTOCOL, tmp_path, {})
    assert [len(rows) for rows in read if spoken <= set(rows[0])] == [1]  # one group, one row
    assert asked and not any(spoken <= set(row) for rows in asked for row in rows)
