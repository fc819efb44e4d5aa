"""A whole job runs the commands of a user, says what each took, and continues where it stopped."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from configs.mllmu import llava7b
from experiments.bench.steps import Step, config_flags, do, line, steps_of


def python(name: str, code: str) -> Step:
    return Step(name, ("-c", code))


def test_the_flags_of_the_configuration_are_passed_on():
    words = ["--config", "a.py:full", "--workdir=w", "-config.seed=3", "--config.x.y", "z"]
    flags = ["--config=a.py:full", "--config.seed=3", "--config.x.y=z"]
    assert config_flags(words) == flags


def test_the_commands_are_those_of_a_user():
    config = llava7b.get_config("small")
    config.objective.name = "npo"
    flags = ["--config=configs/mllmu/llava7b.py:small"]
    steps = steps_of(flags, config, Path("runs/x"), Path("configs/bench/llava7b.py"))
    commands = {step.name: step.command for step in steps}
    assert list(commands) == ["prepare", "weights", "finetune", "unlearn", "evaluate", "export"]
    assert "--config.benchmark.config=small" in commands["weights"]
    start = "--config=configs/mllmu/llava7b.py:small --config.pretrained=runs/x/model"
    assert commands["unlearn"] == (
        f"python -m experiments.unlearn {start} --config.objective.name=npo --workdir=runs/x/npo"
    )
    assert commands["export"] == (
        "python -m experiments.convert --from=runs/x/npo --to=runs/x/export"
    )
    assert "weights" not in [step.name for step in steps_of(flags, config, Path("x"), None)]


def test_time_and_memory_of_a_command_are_its_own(tmp_path):
    cost = "compiled 7 programs in 2.5 s, 3 of them read from disk\\npeak of device memory: 1.25 GB"
    steps = [
        python("large", "b = bytearray(200_000_000); print(sum(b[::4096]))"),
        python("small", f"import sys; print('{cost}', file=sys.stderr)"),
    ]
    records: dict = {}
    large, small = do(steps, records, tmp_path)
    assert large["host_bytes"] > 200e6 > small["host_bytes"] > 1e6
    assert large["compiled"] is None and large["device_bytes"] is None
    assert small["compiled"] == {"programs": 7, "seconds": 2.5, "hits": 3}
    assert small["device_bytes"] == 1.25e9
    assert 0 < small["seconds"] < 60 and small["exit"] == 0
    assert "7 programs compiled in 2.5 s" in line(small) and "device 1.25 GB" in line(small)
    assert (tmp_path / "large.txt").read_text().strip() == "0"


def test_a_job_continues_with_the_command_that_failed(tmp_path, capsys):
    flag = tmp_path / "flag"
    once = python("first", f"open({str(tmp_path / 'ran')!r}, 'a').write('x')")
    fails = python("second", f"import os; raise SystemExit(not os.path.exists({str(flag)!r}))")
    records: dict = {}
    with pytest.raises(ValueError, match=r"exit code 1; .*second\.txt"):
        list(do([once, fails], records, tmp_path))
    records = json.loads(json.dumps(records))
    flag.touch()
    (second,) = do([once, fails], records, tmp_path)
    assert (tmp_path / "ran").read_text() == "x"
    assert "first: done before" in capsys.readouterr().out
    assert [found["exit"] for found in second["attempts"]] == [1, 0]
    assert second["seconds"] == sum(found["seconds"] for found in second["attempts"])
    changed = python("first", "pass")
    assert [done["name"] for done in do([changed, fails], records, tmp_path)] == ["first"]


def test_a_command_ends_with_the_job(tmp_path):
    """A stop of the job, here by a signal that a child sends it, ends the command that runs."""
    code = f"""
import os, signal, time
print(os.getpid(), flush=True)
os.kill({os.getpid()}, {signal.SIGINT:d})
signal.pause()
"""
    with pytest.raises(KeyboardInterrupt):
        list(do([python("waits", code)], records := {}, tmp_path))
    assert records["waits"]["attempts"][0]["seconds"] > 0 and "exit" not in records["waits"]
    process = int((tmp_path / "waits.txt").read_text())
    assert not Path(f"/proc/{process}").exists() or sys.platform != "linux"


@pytest.mark.slow
def test_the_tiny_job_is_done_and_recorded(commands, micro, tmp_path):
    workdir = tmp_path / "study"
    words = [*micro, "--config.objective.name=ga", "--workdir", workdir]
    done = commands.run("bench.job", *words)
    assert done.returncode == 0, done.stderr
    job = json.loads((workdir / "job.json").read_text())
    assert list(job["steps"]) == ["prepare", "finetune", "unlearn", "evaluate", "export"]
    assert all(step["exit"] == 0 and step["host_bytes"] > 1e8 for step in job["steps"].values())
    assert job["steps"]["finetune"]["compiled"]["programs"] > 0
    assert (workdir / "export" / "config.json").is_file()
