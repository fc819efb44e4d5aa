"""The strict protocol: every question has a record, whose scores are those of whole rows."""

import io

import jax
import numpy as np
import pytest
from PIL import Image
from scipy.special import log_softmax
from toy import make_model

from mllm.benchmarks.mllmu.ask import strict_questions
from mllm.benchmarks.mllmu.schema import Profile, Question
from mllm.benchmarks.mllmu.scores import score_replies
from mllm.benchmarks.mllmu.strict import (
    StrictProtocol,
    lettered_question,
    plain_question,
    strict_items,
)
from mllm.data import conversation
from mllm.evaluation import runner
from mllm.evaluation.store import ask
from mllm.files import read_jsonl

pytestmark = pytest.mark.thorough

PROTOCOL = StrictProtocol(classification_tokens=4, cloze_tokens=4, generation_tokens=6)
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


SETS = {"forget": [make_profile(0), make_profile(1)], "test": [make_profile(2, pictures=3)]}


def ask_strict(model, sets, protocol, folder, manifest, rows: int = 0) -> list[dict]:
    """The records of a model's answers."""
    model = runner.LocalModel(model, rows=rows)
    return ask(strict_questions(sets, protocol), {"subject": model}, folder, manifest)


@pytest.fixture(scope="module")
def items():
    return strict_items(SETS)


@pytest.fixture(scope="module")
def replies(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("eval")
    return ask_strict(model, SETS, PROTOCOL, folder, {"digest": "x"}, rows=15)


def test_every_question_has_one_record(items, replies):
    assert len(replies) == len(items) == 54
    assert len({r["key"] for r in replies}) == 54
    for item, record in zip(items, replies, strict=True):
        question = item.question
        assert (record["set"], record["gold"]) == (item.set, question.answer)
        for name in ("profile", "task", "modality", "index", "attribute", "question", "options"):
            assert record[name] == getattr(question, name)


def test_a_profile_with_several_pictures_shows_them_in_turn(items):
    shown = {i.picture for i in items if i.set == "test" and i.picture is not None}
    assert len(shown) == 3


def test_option_scores_equal_whole_rows(model, items, replies):
    """Prefix, question and option as one row, padded at its end, through the whole network."""

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
                shown = [] if item.picture is None else [conversation.image(item.picture)]
                turns = [conversation.user(*shown, asked), conversation.assistant(choice)]
                encoded = model.processor.encode(turns, ended=ended)
                ids = np.array(encoded.ids, np.int32)
                padding = (0, WIDTH - len(ids))
                batch = {
                    "tokens": np.pad(ids, padding)[None],
                    "positions": np.pad(np.arange(len(ids), dtype=np.int32), padding)[None],
                    "segments": np.pad(np.zeros_like(ids), padding, constant_values=-1)[None],
                }
                if item.picture is not None:
                    slot = encoded.ids.index(model.processor.image_id)
                    tiles = model.processor.picture(item.picture).tiles[None]
                    batch["media"] = {"image": {"values": tiles, "slots": np.array([[slot]])}}
                table = log_softmax(np.asarray(logits(batch), "float64"), axis=-1)
                places = np.arange(*encoded.supervised[0])
                np.testing.assert_allclose(value, table[places - 1, ids[places]].sum(), rtol=1e-4)


@pytest.mark.slow
def test_batch_size_changes_nothing(model, replies, tmp_path):
    again = ask_strict(model, SETS, PROTOCOL, tmp_path, {}, rows=1)
    for record, expected in zip(again, replies, strict=True):
        assert record["reply"] == expected["reply"] and record["key"] == expected["key"]
        if expected["option_logprobs"]:
            for name in ("option_logprobs", "letter_logprobs"):
                np.testing.assert_allclose(record[name], expected[name], rtol=1e-4)


def test_a_finished_evaluation_calls_no_model(model, replies, tmp_path, monkeypatch):
    few = {"forget": SETS["forget"][:1]}
    first = ask_strict(model, few, PROTOCOL, tmp_path, {}, rows=15)
    assert read_jsonl(tmp_path / "records.jsonl") == first
    monkeypatch.setattr(runner, "_Asker", lambda *args: pytest.fail("the model was asked"))
    assert ask_strict(model, few, PROTOCOL, tmp_path, {}) == first


def test_prompts_are_the_protocols():
    assert plain_question("Where?", "classification") == "Where?"
    assert plain_question("In __.", "cloze") == "In __. Fill in the blank."
    lines = lettered_question("Where?", {"A": "x", "B": "y"}).split("\n")
    assert lines == ["Where?", "A: x", "B: y", "Answer with one letter."]


def test_options_alone_give_the_same_accuracy_by_text_and_no_other_score(model, replies, tmp_path):
    fewer = StrictProtocol(asks="options")
    found = score_replies(ask_strict(model, SETS, fewer, tmp_path, {"digest": "x"}))
    whole = [score for score in score_replies(replies) if score["metric"] == "accuracy_text"]
    assert [(s["set"], s["modality"]) for s in found] == [(s["set"], s["modality"]) for s in whole]
    for one, other in zip(found, whole, strict=True):
        assert (one["metric"], one["value"], one["n"]) == (
            "accuracy_text", other["value"], other["n"],
        )  # fmt: skip
    assert "asks" in fewer.digest_fields() and "asks" not in PROTOCOL.digest_fields()
    with pytest.raises(ValueError, match=r"config\.evaluation\.asks"):
        StrictProtocol(asks="option")
