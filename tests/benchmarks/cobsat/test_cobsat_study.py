"""A whole study of tiny models: what is taught, asked and judged, and asked again."""

import shutil
from dataclasses import replace
from functools import partial

import pytest
from micro import make_config

from mllm.benchmarks.cobsat import brackets, study, taught
from mllm.benchmarks.cobsat.protocol import asked, first_request, rounds
from mllm.checkpoints.folder import load_model, save_model
from mllm.data.conversation import image
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import read_reply
from mllm.files import read_json, read_jsonl
from mllm.studies.evaluate import evaluate
from mllm.studies.plan import Plan
from mllm.studies.run import Run
from mllm.studies.train import ensure

pytestmark = pytest.mark.slow

PART = "eval/rounds/default"


@pytest.fixture(scope="module")
def made(squares, tmp_path_factory):
    """The folder of a study with a drawer that was taught, asked and judged; config, benchmark."""
    config, benchmark = make_config(squares[0]), squares[1]
    workdir = tmp_path_factory.mktemp("cobsat") / "study"
    run = ensure("drawer", config, workdir, study, benchmark)
    evaluate(run, config, study, benchmark)
    return workdir, config, benchmark


def test_the_study_trains_what_the_drawer_starts_from_and_its_judge(made):
    workdir, _, _ = made
    assert {path.name for path in workdir.iterdir() if path.is_dir()} == {
        "tokeniser", "judge", "drawer",
    }  # fmt: skip
    judge = read_json(workdir / "judge" / "run.json")
    manifest = read_json(workdir / "drawer" / PART / "manifest.json")
    assert manifest["asked"]["judge"]["checkpoint_digest"] == judge["checkpoint_digest"]
    assert "judge" not in read_json(workdir / "drawer" / "run.json")["made_from"]["parents"]


def test_a_plan_names_the_judge_that_an_evaluation_asks(made, tmp_path):
    workdir, config, benchmark = made
    for folder, state in ((tmp_path, "begins"), (workdir, "finished")):
        plan = Plan(study, benchmark)
        plan.add("drawer", config, folder)
        assert [path.name for path in plan.runs] == ["tokeniser", "judge", "drawer"]
        assert {planned.state for planned in plan.runs.values()} == {state}


def test_every_prompt_has_a_record_with_what_the_judge_says(made):
    workdir, _, _ = made
    records = read_jsonl(workdir / "drawer" / PART / "records.jsonl")
    # 2 tasks; 3 samples as they are, 2 of them as chains of thought too; 2 modes
    assert len(records) == 2 * (3 + 2) * 2
    for record in records:
        rules = ["taught"] if record["mode"] == "image" else ["words"]
        assert list(record["judged"]) == rules and record["rule"] == rules[0]
        assert (record["picture"] is None) == (record["mode"] == "text")
        assert (record["analysis"] is None) == (record["prompt"] != "cot")


def test_a_stopped_evaluation_ends_as_an_undisturbed_one(made, tmp_path):
    workdir, config, benchmark = made
    shutil.copytree(workdir, tmp_path / "again")
    folder = tmp_path / "again" / "drawer"
    results = folder / "eval" / "rounds" / "results.json"
    before, replies = results.read_bytes(), folder / PART / "replies.jsonl"
    whole = replies.read_text()
    lines = whole.splitlines(keepends=True)
    replies.write_text("".join(lines[: len(lines) // 3]) + lines[-1][:40])
    results.unlink()
    (folder / PART / "scores.json").unlink()
    run = Run(folder, "drawer", config)
    evaluate(run, config, study, benchmark)
    assert results.read_bytes() == before
    assert sorted(replies.read_text().splitlines()) == sorted(whole.splitlines())


def test_the_second_turn_of_a_chain_of_thought_is_as_a_fresh_prompt(made):
    """What was read for the first turn, and for the other mode, changes no answer."""
    workdir, config, benchmark = made
    protocol = replace(study.protocol_of(config), types=("cot",), tasks=(1,), judge=None)
    loaded = load_model(workdir / "drawer")
    asking, model = rounds(benchmark, protocol), LocalModel(loaded)
    first = next(asking)
    replies = {r.key: r for lot in model.answer(first, set()) for r in lot}
    second = asking.send([replies[request.key] for request in first])
    together = {r.key: r for lot in model.answer(second, set()) for r in lot}
    stored = {
        row["key"]: read_reply(row, workdir / "drawer" / PART)
        for row in read_jsonl(workdir / "drawer" / PART / "replies.jsonl")
    }
    for request in second[:4]:
        ((alone,),) = LocalModel(loaded).answer([request], set())
        for other in (together[request.key], stored[request.key]):
            assert (alone.text, alone.media) == (other.text, other.media)


def test_without_a_judge_an_evaluation_says_what_is_missing(made, tmp_path):
    workdir, config, benchmark = made
    shutil.copytree(workdir, tmp_path / "again", ignore=shutil.ignore_patterns("judge"))
    run = Run(tmp_path / "again" / "drawer", "drawer", config)
    with pytest.raises(ValueError, match=r"asks 'judge', but .*judge holds no finished run"):
        evaluate(run, config, study, benchmark)


def test_a_judge_from_a_folder_keeps_its_own_chat_format(made, tmp_path):
    workdir, config, benchmark = made
    judge = load_model(workdir / "judge")
    judge = replace(judge, processor=judge.processor.with_chat_format("vicuna"))
    save_model(tmp_path / "published", judge)
    config = config.copy_and_resolve_references()
    config.judge.folder = str(tmp_path / "published")
    with pytest.raises(ValueError, match=r"set config.evaluation.judge.forms to \('numbers', "):
        study.stages(config)
    config.evaluation.judge.forms = ("numbers", "reply")
    run = ensure("judge", config, tmp_path / "study", study, benchmark)
    assert load_model(run.folder).processor.config.chat_format == "vicuna"
    assert run.record()["checkpoint_digest"] == judge.digest()


class Ten:
    """The study with a drawer that is taught ten prompts."""

    labels, part = staticmethod(study.labels), staticmethod(study.part)

    @staticmethod
    def ten(config):
        protocol = replace(study.protocol_of(config), types=("default",), prompts=1, fewer=0)
        return list(asked(replace(protocol, tasks=(1, 4, 6, 7, 9))))

    def stages(self, config):
        found, protocol = study.stages(config), study.protocol_of(config)
        samples = partial(taught.Samples, protocol=protocol, found=self.ten(config))
        found["drawer"] = replace(found["drawer"], examples=samples, asks=())
        return found


def test_a_drawer_answers_the_ten_prompts_that_it_is_taught(made, tmp_path):
    _, config, benchmark = made
    config = config.copy_and_resolve_references()
    config.model.decoder.update(width=64, layers=2, head_dim=32, mlp_width=128)
    config.drawer.update(epochs=120, rows=8, learning_rate=8e-3)
    config.checkpoint_every = 1000
    run = ensure("drawer", config, tmp_path, Ten(), benchmark)
    model, protocol = LocalModel(load_model(run.folder)), study.protocol_of(config)
    asking = replace(protocol, reply_tokens=16)
    requests = [first_request(one, benchmark, asking) for one in Ten.ten(config)]
    assert len(requests) == 10
    replies = {reply.key: reply for lot in model.answer(requests, set()) for reply in lot}
    for request in requests:
        pair, reply = brackets.right(request), replies[request.key]
        if request.tags["mode"] == "text":
            assert reply.text == benchmark.caption(*pair)
            continue
        (right,) = model.codec.encode([image(benchmark.picture(*pair))]).tolist()
        assert reply.extra["codes"] == right
