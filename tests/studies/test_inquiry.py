"""A stage that asks finished models before it trains, and one whose questions are changed."""

import shutil
from types import SimpleNamespace

import pytest
from toy import make_processor

from configs import common
from mllm.data.conversation import Example, assistant, user
from mllm.evaluation.request import Choices, Questions, Request, Text, content_key
from mllm.evaluation.runner import LocalModel
from mllm.files import read_json, read_jsonl
from mllm.studies.estimate import Estimates
from mllm.studies.evaluate import evaluate
from mllm.studies.plan import Plan
from mllm.studies.stage import Stage
from mllm.studies.train import ensure
from mllm.training.nll import nll

pytestmark = pytest.mark.thorough

PLACES = ("London", "Paris")
KEYS = ("seed", "model", "rows")
CALLS: list[int] = []


def make_config():
    config = common.get_config()
    config.benchmark.name = "places"
    decoder = dict(
        vocab_size=300, width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=16
    )
    vision = dict(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=16)
    config.model = dict(
        family="llava", decoder=decoder, vision=vision, projector=dict(mlp_width=16, width=16)
    )
    config.processor.update(chat_format="llava", image_size=16)
    config.rows.update(tokens=64, supervised=16, answers=1)
    config.teaching = common.stage(epochs=1, rows=4, warmup=1)
    config.evaluation.update(protocol="one")
    return config


def request(word: str, model: str) -> Request:
    turns, ask = (user(f"Where is {word}?"),), Text(3)
    return Request(content_key(word, turns=turns), word, {"word": word}, turns, ask, model)


def inquiry(benchmark):
    replies = yield [request(place, "scribe") for place in PLACES]
    yield [request(replies[0].text, "scribe")]


def told(benchmark, answered):
    return [
        Example(one.tags["word"], "", (user(one.turns[0].text), assistant(reply.text or "Ada")))
        for one, reply in answered
    ]


class Counted:
    """Counts what goes through it."""

    def __init__(self, inner):
        self.inner, self.identity = inner, {"counted": dict(inner.identity)}

    def answer(self, requests, done):
        CALLS.append(len(requests))
        yield from self.inner.answer(requests, done)


def rounds(asked):
    yield asked


def questions(config, benchmark, family) -> Questions:
    turns, ask = (user("Where was Ada born?"),), Choices(PLACES)
    asked = [Request(content_key("born", turns=turns), "Ada", {}, turns, ask)]
    return Questions(rounds(asked), {}, lambda answered: [{"n": len(answered)}])


def stages(config):
    taught = dict(schedule=config.teaching, objective=nll())
    scribe = Stage("scribe", KEYS, examples=lambda benchmark: benchmark.said, **taught)
    pupil = Stage(
        "pupil",
        KEYS,
        parent="scribe",
        examples=told,
        inquiry=inquiry,
        consults=("scribe",),
        through=lambda benchmark, model: Counted(model),
        **taught,
    )
    return {stage.name: stage for stage in (scribe, pupil)}


SYSTEM = SimpleNamespace(
    AXES=(), stages=stages, labels=lambda config: {}, part=lambda config: "all",
    questions=questions, score=lambda records, config: [],
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    make_processor().save(folder)
    said = [Example(str(n), "", (user("Who?"), assistant("Ada"))) for n in range(4)]
    benchmark = SimpleNamespace(
        said=said, tokenizer_path=folder / "tokenizer.json", fingerprint="data"
    )
    workdir = tmp_path_factory.mktemp("study")
    return workdir, benchmark, ensure("pupil", make_config(), workdir, SYSTEM, benchmark)


def test_what_a_stage_learns_follows_from_the_answers_of_the_models_it_consults(made):
    workdir, _, run = made
    (path,) = (workdir / "scribe" / "answers").glob("*/replies.jsonl")
    rows = read_jsonl(path)
    assert [row["tags"]["word"] for row in rows[:2]] == list(PLACES)
    assert rows[2]["tags"]["word"] == rows[0]["text"]
    record = run.record()
    assert record["cost"]["steps"] == 1
    scribe = read_json(workdir / "scribe" / "run.json")["checkpoint_digest"]
    assert record["made_from"]["parents"] == {"scribe": scribe}


def test_a_stage_that_is_made_again_asks_nothing_and_ends_with_the_same_weights(
    made, tmp_path, monkeypatch
):
    workdir, benchmark, run = made
    shutil.copytree(workdir / "scribe", tmp_path / "scribe")
    monkeypatch.setattr(LocalModel, "answer", lambda *_: pytest.fail("asked again"))
    again = ensure("pupil", make_config(), tmp_path, SYSTEM, benchmark)
    assert again.record()["checkpoint_digest"] == run.record()["checkpoint_digest"]


def test_a_plan_names_the_models_and_says_that_steps_are_not_known_before(made, tmp_path):
    _, benchmark, _ = made
    plan = Plan(SYSTEM, benchmark)
    planned = plan.add("pupil", make_config(), tmp_path)
    assert [path.name for path in plan.runs] == ["scribe", "pupil"]
    with pytest.raises(ValueError, match="follows from answers of other models"):
        Estimates(benchmark, []).of(planned)


def test_questions_go_through_what_the_stage_puts_before_its_model(made):
    _, benchmark, run = made
    CALLS.clear()
    found = evaluate(run, make_config(), SYSTEM, benchmark)
    assert CALLS == [1]
    assert "counted" in read_json(found.folder / "manifest.json")["answerer"]
