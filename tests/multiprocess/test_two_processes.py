"""Two processes of two devices each, started by the commands that a TPU VM would run."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from compiling import xla_flags

from mllm.checkpoints.folder import load_model
from mllm.files import read_json, read_jsonl
from mllm.studies.lock import hold

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
# One stage of teaching compiles like another, and each is a few steps.
SHORT = [
    "--config=tests/experiments/micro.py",
    "--config.base.epochs=1",
    "--config.base.decay=constant",
    "--config.vanilla.decay=constant",
    *(f"--config.benchmark.limit.{group}=1" for group in ("forget", "retain", "celebrity")),
    "--config.benchmark.limit.captions=2",
    "--config.lora.dropout=0.1",
]
# Of the first mesh two processes hold other rows; of the second, the same rows of other columns.
FSDP, TENSOR = ["--config.mesh.tensor=2"], ["--config.mesh.fsdp=1", "--config.mesh.tensor=4"]


# Compilation is most of the time: the second process keeps no compiled programs.
QUICK = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": xla_flags()}


def start(name: str, *arguments: object, **environment: str) -> subprocess.Popen:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MLLM_")}
    return subprocess.Popen(
        [sys.executable, "-m", f"experiments.{name}", *map(str, arguments)],
        cwd=ROOT,
        env={**inherited, **QUICK, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def start_two(name: str, *arguments: object, other: tuple = ()) -> list[subprocess.Popen]:
    """``other`` are more arguments for the second process."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = {
        "MLLM_COORDINATOR": f"localhost:{port}",
        "MLLM_PROCESS_COUNT": "2",
        "XLA_FLAGS": xla_flags(devices=2),
    }
    return [
        start(name, *arguments, *more, **shared, MLLM_PROCESS_ID=str(number))
        for number, more in enumerate(((), other))
    ]


def finish(*processes: subprocess.Popen, status: int = 0) -> list[tuple[str, str]]:
    """(stdout, stderr) of each process, all of which must end with ``status``."""
    told = [process.communicate() for process in processes]
    for process, (_, err) in zip(processes, told, strict=True):
        assert process.returncode == status, err
    return told


@pytest.fixture(scope="module")
def studies(data_dir, tmp_path_factory):
    """Folders of the same study, by one process and by two, and what the two printed."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    common = [*SHORT, f"--config.benchmark.data_dir={data_dir}"]
    unlearn = ["--config.objective.name=npo", "--config.methods.npo.options.retain_weight=1.0"]
    alone = start("finetune", *common, "--workdir", one)
    told = finish(*start_two("finetune", *common, *FSDP, "--workdir", two), alone)[:2]
    alone = start("unlearn", *common, *unlearn, "--workdir", one / "npo")
    together = start_two("unlearn", *common, *unlearn, *TENSOR, "--workdir", two / "npo")
    told += finish(*together, alone)[:2]
    return one, two, told


@pytest.mark.slow
@pytest.mark.parametrize("run", ["base", "vanilla", "retain_only_15", "npo"])
def test_two_processes_train_as_one(studies, run):
    one, two, _ = studies
    expected, found = (read_jsonl(folder / run / "metrics.jsonl") for folder in (one, two))
    assert [line["step"] for line in found] == [line["step"] for line in expected]
    assert len(found) > 2
    for name in ("loss", "gradient_norm", "tokens"):
        values = [[line[name] for line in lines] for lines in (found, expected)]
        np.testing.assert_allclose(*values, rtol=1e-4 if name == "gradient_norm" else 1e-5)


@pytest.mark.slow
def test_only_the_first_process_prints(studies):
    _, two, told = studies
    for first, second in zip(told[::2], told[1::2], strict=True):
        assert f"{two}/" in first[0] and "ETA" in first[1]
        assert f"{two}/" not in second[0] and "ETA" not in second[1]


@pytest.mark.slow
def test_what_two_processes_wrote_one_reads(studies):
    one, two, _ = studies
    for run in ("vanilla", "npo"):
        record = read_json(two / run / "run.json")
        loaded = load_model(two / run)
        assert (record["status"], record["checkpoint_digest"]) == ("finished", loaded.digest())
        assert record["environment"]["processes"] == 2
        assert sorted(p.name for p in (two / run).iterdir()) == sorted(
            p.name for p in (one / run).iterdir()
        )


@pytest.mark.slow
def test_two_processes_ask_and_score_as_one(studies, data_dir):
    _, two, _ = studies
    common = [*SHORT, f"--config.benchmark.data_dir={data_dir}"]
    flags = ["--config.evaluation.rows=10", "--config.evaluation.generation_tokens=2"]
    asked = ["evaluate", *common, *flags, "--checkpoint", two / "npo"]
    (first, _), (second, _) = finish(*start_two(*asked, *FSDP))
    folder = two / "npo" / "eval" / "strict"
    scores = read_json(folder / "results.json")
    replies = read_jsonl(folder / "forget_15" / "records.jsonl")
    assert "accuracy_text" in first and "accuracy_text" not in second
    (folder / "forget_15" / "replies.jsonl").unlink()
    finish(start(*asked))
    again = read_jsonl(folder / "forget_15" / "records.jsonl")
    assert [r["key"] for r in again] == [r["key"] for r in replies]
    assert [r["reply"] for r in again] == [r["reply"] for r in replies]
    for now, before in zip(again, replies, strict=True):
        if now["option_logprobs"] is not None:
            np.testing.assert_allclose(now["option_logprobs"], before["option_logprobs"], rtol=1e-4)
    assert read_json(folder / "results.json")["runs"][0]["scores"] == scores["runs"][0]["scores"]


@pytest.mark.slow
def test_processes_that_were_given_different_work_stop(data_dir, tmp_path):
    common = [*SHORT, f"--config.benchmark.data_dir={data_dir}", "--workdir", tmp_path]
    for _, err in finish(*start_two("finetune", *common, other=("--config.seed=1",)), status=2):
        assert "base: the run asked for is not the same on all processes: [1] differ" in err
    assert not (tmp_path / "base" / "run.json").exists()


@pytest.mark.slow
def test_a_folder_in_use_is_refused_to_all_processes(data_dir, tmp_path):
    common = [*SHORT, f"--config.benchmark.data_dir={data_dir}", "--workdir", tmp_path]
    with hold(tmp_path):
        for _, err in finish(*start_two("finetune", *common), status=2):
            assert f"error: {tmp_path}: in use by" in err and f"process {os.getpid()} on" in err
    assert not list(tmp_path.iterdir())
