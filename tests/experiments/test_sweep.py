"""A whole study through the entry point: what it leaves, and that no kill changes a bit of it."""

import json
import os
import signal
import subprocess
import time

import pytest

from mllm.files import read_json, read_jsonl

pytestmark = pytest.mark.thorough

RUNS = {
    "base": "base",
    "vanilla": "vanilla",
    "grad_diff_15": "grad_diff",
    "npo_published_15": "npo",
    "prompting_15": "prompting",
}
FEW = ("vanilla", "grad_diff_15", "prompting_15")
REFERENCE = "retain_only_15"  # of NPO in its published form: it is trained, and not compared
METRICS = {
    "classification": {"accuracy_text", "accuracy_letter", "accuracy_parsed"},
    "cloze": {"exact", "substring"},
    "generation": {"rouge1", "rouge2", "rougeL", "bleu"},
}
QUESTIONS = 4 * 2 * 18  # sets x profiles x questions of one profile
REQUESTS = QUESTIONS + 2 * 4 * 2 * 10  # a multiple choice is asked three times
PATIENCE = 300.0  # seconds until a process must have come to where it is to be killed


def swept(commands, flags, workdir):
    done = commands.run("sweep", *flags, "--workdir", workdir)
    assert done.returncode == 0, done.stderr
    assert "Forgetting 15%" in done.stdout and str(workdir / "report.html") in done.stdout
    return workdir


@pytest.fixture(scope="module")
def few(micro):
    """The flags of a study of fewer runs."""
    return [flag + ":few" if flag.endswith("micro.py") else flag for flag in micro]


@pytest.fixture(scope="module")
def finished(commands, few, tmp_path_factory):
    """A study of few runs; tests only read it."""
    return swept(commands, few, tmp_path_factory.mktemp("sweeps") / "few")


@pytest.fixture(scope="module")
def whole(commands, micro, tmp_path_factory):
    """A study of all runs, without interruption; tests only read it."""
    return swept(commands, micro, tmp_path_factory.mktemp("sweeps") / "whole")


def outcome(workdir, names=tuple(RUNS)) -> dict:
    """All that must be equal between two studies: weights, replies, scores, steps, losses."""
    found = {}
    for name in names:
        folder = workdir / "seed0" / name
        record = read_json(folder / "run.json")
        metrics = read_jsonl(folder / "metrics.jsonl")
        found[name] = {
            "digest": record["checkpoint_digest"],
            "identity": record["identity"],
            "cost": {k: v for k, v in record["cost"].items() if k not in ("seconds", "compile")},
            "losses": [(line["step"], line["loss"], line["tokens"]) for line in metrics],
            "replies": read_jsonl(folder / "eval" / "strict" / "forget_15" / "records.jsonl"),
            "scores": read_json(folder / "eval" / "strict" / "results.json")["runs"][0]["scores"],
        }
    found["results"] = [run["scores"] for run in read_json(workdir / "results.json")["runs"]]
    return found


def test_a_study_leaves_results_of_every_method_and_set(finished):
    results = read_json(finished / "results.json")
    assert results["schema"] == 1 and results["benchmark"] == "mllmu"
    assert {"jax", "python", "backend"} <= set(results["environment"])
    assert sorted(run["method"] for run in results["runs"]) == sorted(map(RUNS.get, FEW))
    for run in results["runs"]:
        keys = {"method", "seed", "forget", "checkpoint_digest", "protocol", "scores", "cost"}
        assert keys <= set(run)
        assert (run["seed"], run["forget"], run["protocol"]) == (0, 15, "strict")
        assert len(run["checkpoint_digest"]) == 64
        found = {(s["set"], s["task"], s["modality"], s["metric"]) for s in run["scores"]}
        assert found == {
            (name, task, modality, metric)
            for name in ("forget", "test", "retain", "celebrity")
            for task, metrics in METRICS.items()
            for modality in ("image_text", "text")
            for metric in metrics
        }
        assert len(run["scores"]) == len(found)
        for score in run["scores"]:
            assert (
                score["n"] == 2 * {"classification": 5, "cloze": 2, "generation": 2}[score["task"]]
            )
            low, high = score["ci95"]
            assert 0 <= low <= score["value"] <= high <= 1
            assert 0 <= score["valid"] + score["refusal"] + score["invalid"] <= 1 + 1e-9


def test_a_study_leaves_its_runs_and_reports(finished):
    for kind in ("html", "md", "csv", "tex"):
        assert (finished / f"report.{kind}").stat().st_size > 0
    folders = {path.parent.name for path in (finished / "seed0").glob("*/run.json")}
    assert folders == {"base", *FEW}
    found = outcome(finished, FEW)
    digests = {name: found[name]["digest"] for name in FEW}
    assert digests.pop("prompting_15") == digests["vanilla"]  # it trains nothing
    assert len(set(digests.values())) == len(digests)
    for name in digests:
        assert found[name]["losses"], name
    for name in FEW:
        assert len(found[name]["replies"]) == QUESTIONS
        record = read_json(finished / "seed0" / name / "run.json")
        assert record["status"] == "finished" and "experiments.sweep" in record["command"]
        trained = record["cost"]["trainable"]
        if name == "grad_diff_15":
            assert 0 < trained < 0.2 * record["cost"]["parameters"]
        else:
            assert trained == (0 if name == "prompting_15" else record["cost"]["parameters"])


@pytest.mark.slow
def test_a_plan_says_what_a_study_takes(whole, commands, micro, tmp_path):
    done = commands.run("sweep", *micro, "--workdir", tmp_path / "new", "--dry_run")
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
    for name in RUNS:
        record = read_json(whole / "seed0" / name / "run.json")
        (line,) = (x for x in done.stdout.splitlines() if f"/{name}: " in x and "asked" not in x)
        if steps := record["cost"]["steps"]:
            assert f"; {steps:,} steps, " in line
        else:
            assert line.endswith("takes the weights of vanilla")
    # The first round asks everything but what follows from replies.
    assert done.stdout.count(f": {REQUESTS:,} requests first") == len(RUNS)
    again = commands.run("sweep", *micro, "--workdir", whole, "--dry_run")
    assert again.stdout.count(": finished") == len(RUNS) + 1 and "in all: 0 B" in again.stdout


@pytest.mark.slow
def test_a_finished_study_is_only_reported_again(whole, commands, micro):
    def stamps():
        kept = ("checkpoints", "tensorboard", "eval/strict/forget_15/replies.jsonl")
        kept += ("metrics.jsonl", "run.json", "model.json", "eval/strict/forget_15/manifest.json")
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_size)
            for name in RUNS
            for path in (whole / "seed0" / name).rglob("*")
            if path.is_file() and str(path.relative_to(whole / "seed0" / name)).startswith(kept)
        }

    before, results = stamps(), (whole / "results.json").read_bytes()
    done = commands.run("sweep", *micro, "--workdir", whole)
    assert done.returncode == 0, done.stderr
    assert "evaluate " not in done.stderr  # the progress of asking
    folders = {path.parent.name for path in (whole / "seed0").glob("*/run.json")}
    assert folders == {*RUNS, REFERENCE}
    assert len(before) > 5 * len(RUNS) and stamps() == before
    assert (whole / "results.json").read_bytes() == results


def ended(commands, command, reached, log, number) -> int:
    """Start a command and send it a signal when it has come to some place; its exit status."""
    with log.open("w") as file:
        process = commands.start(*command, stdout=file, stderr=file)
    deadline = time.monotonic() + PATIENCE
    try:
        while not reached():
            assert time.monotonic() < deadline, log.read_text()
            try:
                process.wait(timeout=0.003)
            except subprocess.TimeoutExpired:
                continue
            pytest.fail(f"ended before it could be stopped:\n{log.read_text()}")
        os.killpg(process.pid, number)
        return process.wait(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.slow
def test_a_study_killed_thrice_ends_as_an_uninterrupted_one(whole, commands, micro, tmp_path):
    """Killed while it teaches, while it asks and while it unlearns; each time started again."""
    runs = tmp_path / "killed" / "seed0"
    replies = runs / "base" / "eval" / "strict" / "forget_15" / "replies.jsonl"
    command = ("sweep", *micro, "--workdir", tmp_path / "killed")

    def status(name):
        return read_json(runs / name / "run.json")["status"]

    def steps(name):
        return [int(p.name) for p in (runs / name / "checkpoints").glob("*") if p.name.isdigit()]

    def killed_when(reached):
        ended(commands, command, reached, tmp_path / "log.txt", signal.SIGKILL)

    killed_when(lambda: steps("base"))
    assert status("base") == "running" and not replies.exists()

    killed_when(lambda: replies.exists() and replies.stat().st_size > 0)
    assert status("base") == "finished"
    assert 0 < len(read_jsonl(replies)) < REQUESTS
    assert not (replies.parent / "scores.json").exists()

    killed_when(lambda: steps("grad_diff_15"))
    assert status("grad_diff_15") == "running" and not (runs / "npo_published_15").exists()

    done = commands.run(*command)
    assert done.returncode == 0, done.stderr
    expected, found = outcome(whole), outcome(tmp_path / "killed")
    for name in expected:
        assert json.dumps(found[name]) == json.dumps(expected[name]), name


@pytest.mark.slow
def test_a_study_interrupted_in_each_phase_ends_as_an_uninterrupted_one(
    whole, commands, micro, tmp_path
):
    """Each phase ends with a signal's status and says how to go on; the next start does."""
    workdir, log = tmp_path / "interrupted", tmp_path / "log.txt"
    compiling = type(commands)(tmp_path / "compiled")  # finds no compiled programs
    command = ("sweep", *micro, "--workdir", workdir)
    new_data = ("prepare", *micro[:2], f"--config.benchmark.data_dir={tmp_path / 'data'}")

    def said(text):
        return lambda: text in log.read_text()

    def exists(pattern):
        return lambda: any(workdir.glob(f"seed0/{pattern}"))

    phases = {
        "data": (new_data, said("drawing")),
        # without the programs of other tests
        "compilation": (command, said(f"[1/{len(RUNS)}] base")),
        "training": (command, said("base 2/")),
        "saving": (command, exists("vanilla/checkpoints/*tmp*")),
        "evaluation": (command, exists("*/eval/strict/forget_15/replies.jsonl")),
        "report": (command, said("writing the report")),
    }
    for number, (phase, (arguments, reached)) in enumerate(phases.items()):
        sent = (signal.SIGINT, signal.SIGTERM)[number % 2]
        chosen = compiling if phase == "compilation" else commands
        status = ended(chosen, arguments, reached, log, sent)
        text = log.read_text()
        assert status == 128 + sent, f"{phase}: {text}"
        assert text.count("To go on, run the same command again:") == 1, phase
        assert "Traceback" not in text, f"{phase}: {text}"
    assert not list((tmp_path / "data").rglob("benchmark.json"))
    done = commands.run(*command)
    assert done.returncode == 0, done.stderr
    expected, found = outcome(whole), outcome(workdir)
    for name in expected:
        assert json.dumps(found[name]) == json.dumps(expected[name]), name


@pytest.mark.slow
def test_another_config_in_the_same_folder_is_refused(finished, commands, few):
    before = (finished / "results.json").read_bytes()
    changed = "--config.vanilla.learning_rate=0.5"
    message = commands.refused("sweep", *few, changed, "--workdir", finished)
    assert f"error: {finished / 'seed0' / 'vanilla'}: holds a run of method 'vanilla'" in message
    assert "choose another --workdir, or delete this folder" in message
    assert (finished / "results.json").read_bytes() == before


@pytest.mark.slow
def test_two_commands_share_a_study_and_it_ends_as_that_of_one(whole, commands, micro, tmp_path):
    workdir, logs = tmp_path / "shared", [tmp_path / "one.txt", tmp_path / "two.txt"]
    started = []
    for log in logs:
        with log.open("w") as file:
            command = ("sweep", *micro, "--workdir", workdir)
            started.append(commands.start(*command, stdout=file, stderr=file))
    for process, log in zip(started, logs, strict=True):
        assert process.wait(timeout=2 * PATIENCE) == 0, log.read_text()
    texts = [log.read_text() for log in logs]
    for name in FEW:  # each was trained by one of them, and asked by one of them
        assert sum(f"evaluate {name}, strict" in text for text in texts) == 1, name
    expected, found = outcome(whole), outcome(workdir)
    for name in expected:
        assert json.dumps(found[name]) == json.dumps(expected[name]), name
