"""A whole study of tiny models: what is taught, asked and scored, and asked again."""

import shutil
from dataclasses import replace

import pytest
from msr_micro_study import make_config

from mllm.benchmarks.msr import study
from mllm.benchmarks.msr.metrics import ranking_metrics
from mllm.benchmarks.msr.scores import users_of
from mllm.evaluation.runner import LocalModel
from mllm.files import read_json, read_jsonl
from mllm.studies.evaluate import evaluate
from mllm.studies.plan import Plan
from mllm.studies.run import Run
from mllm.studies.train import ensure

pytestmark = pytest.mark.slow

PART = "eval/candidates/test"


@pytest.fixture(scope="module")
def made(msr_micro_dir, msr_micro, tmp_path_factory):
    """The folder of a study with a recommender that was taught and asked; config, benchmark."""
    config = make_config(msr_micro_dir)
    workdir = tmp_path_factory.mktemp("msr") / "study"
    run = ensure("recommender", config, workdir, study, msr_micro)
    evaluate(run, config, study, msr_micro)
    return workdir, config, msr_micro


def asked(name, made):
    workdir, config, benchmark = made
    run = ensure(name, config, workdir, study, benchmark)
    return evaluate(run, config, study, benchmark)


def test_the_recommender_learns_from_preferences_that_the_summariser_wrote(made):
    workdir, _, benchmark = made
    assert {path.name for path in workdir.iterdir() if path.is_dir()} == {
        "captioner", "summariser", "recommender",
    }  # fmt: skip
    (path,) = (workdir / "summariser" / "answers").glob("*/replies.jsonl")
    rows = read_jsonl(path)
    keys = [row["key"] for row in rows]
    assert len(set(keys)) == len(keys)  # training and evaluation ask nothing twice
    parts = [row["tags"]["part"] for row in rows]
    users = [*benchmark.users("train"), *benchmark.users("test")]
    blocks = sum(-(-len(user.history) // 3) for user in users)
    assert (parts.count("summary"), parts.count("preference")) == (40, blocks)
    record = read_json(workdir / "recommender" / "run.json")
    summariser = read_json(workdir / "summariser" / "run.json")["checkpoint_digest"]
    assert record["made_from"]["parents"] == {"summariser": summariser}
    manifest = read_json(workdir / "recommender" / PART / "manifest.json")
    assert manifest["asked"]["summariser"]["checkpoint_digest"] == summariser


def test_a_stopped_evaluation_ends_as_an_undisturbed_one(made, tmp_path):
    workdir, config, benchmark = made
    shutil.copytree(workdir, tmp_path / "again")
    folder = tmp_path / "again" / "recommender"
    results = folder / "eval" / "candidates" / "results.json"
    before, replies = results.read_bytes(), folder / PART / "replies.jsonl"
    lines = replies.read_text().splitlines(keepends=True)
    replies.write_text("".join(lines[: len(lines) // 3]) + lines[-1][:40])
    results.unlink()
    (folder / PART / "scores.json").unlink()
    evaluate(Run(folder, "recommender", config), config, study, benchmark)
    assert results.read_bytes() == before


def test_baselines_and_brackets_are_asked_the_same_and_no_model_again(made, monkeypatch):
    workdir = made[0]
    questions = read_json(workdir / "recommender" / PART / "manifest.json")["questions"]
    found = {}
    monkeypatch.setattr(LocalModel, "answer", lambda *_: pytest.fail("asked again"))
    for name in ("oracle", "constant", "popularity", "bayes", "random"):
        found[name] = asked(name, made)
        manifest = read_json(found[name].folder / "manifest.json")
        assert manifest["questions"] == questions
    scores = {
        (name, score["metric"]): score["value"]
        for name, one in found.items()
        for score in one.entry["scores"]
        if (score["target"], score["history"]) == ("all", "all")
    }
    assert scores["oracle", "auc_pooled"] == scores["oracle", "mrr@5"] == 1
    assert scores["constant", "auc_pooled"] == 0.5
    assert scores["constant", "hr@5"] == pytest.approx(5 / 21)
    rows = users_of(read_jsonl(found["bayes"].folder / "records.jsonl")).values()
    values = [[record["score"] for record in row] for row in rows]
    again = ranking_metrics(values, [0] * len(values), (5,))
    assert scores["bayes", "hr@5"] == pytest.approx(again["hr@5"])


def test_zero_shot_blind_and_titles_are_the_same_questions_read_otherwise(made):
    answered = {name: asked(name, made) for name in ("zero_shot", "blind", "tallrec")}
    for name, one in answered.items():
        assert len(read_jsonl(one.folder / "records.jsonl")) == 21 * 12, name
        named = read_json(one.folder / "manifest.json")["answerer"]
        assert named.get("baseline", named.get("reads")) == {
            "zero_shot": None, "blind": "blind", "tallrec": "titles",
        }[name]  # fmt: skip


def test_an_ablation_has_folders_of_its_own_and_a_retriever_is_planned(made, tmp_path):
    workdir, config, benchmark = made
    changed = config.copy_and_resolve_references()
    changed.preferences.form = "direct"
    changed.objective.update(name="recommender", variant="direct")
    changed.summariser.variant = "direct"
    changed.evaluation.retriever = "popularity"
    plan = Plan(study, benchmark)
    plan.add("recommender", changed, workdir)
    states = {path.name: planned.state for path, planned in plan.runs.items()}
    assert "popularity" in states
    del states["popularity"]
    assert states == {
        "captioner": "finished", "summariser_direct": "begins", "recommender_direct": "begins",
    }  # fmt: skip


def test_a_retriever_hands_on_the_best_of_all_items(made):
    workdir, config, benchmark = made
    chosen = config.copy_and_resolve_references()
    chosen.evaluation.update(retriever="popularity", top=10)
    for name in ("recommender", "popularity"):
        run = ensure(name, chosen, workdir, study, benchmark)
        found = evaluate(run, chosen, study, benchmark)
        assert found.folder.parent.name.startswith("candidates@")
        assert len(read_jsonl(found.folder / "records.jsonl")) == 10 * 12


def test_what_a_reading_changes_reaches_identity_and_conditions(made):
    _, config, benchmark = made
    first = study.questions(config, benchmark, "").conditions
    changed = config.copy_and_resolve_references()
    changed.prompts.layout = "published"
    second = study.questions(changed, benchmark, "").conditions
    assert first["protocol"] == second["protocol"] and first["reading"] != second["reading"]
    stages = study.stages(config)
    assert set(stages["recommender"].depends_on) >= {"prompts", "summaries", "preferences"}
    template = config.copy_and_resolve_references()
    template.preferences.writer = template.summaries.kind = "template"
    assert study.stages(template)["recommender"].consults == ()
    assert replace(stages["recommender"], name="other").asks == ("summariser",)
