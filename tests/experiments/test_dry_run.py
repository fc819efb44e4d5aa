"""Every verb tells its plan for every configuration of the repository, and writes nothing."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
NO_CONFIG = ("__init__", "common", "paper")
FILES = [p for p in sorted((ROOT / "configs").rglob("*.py")) if p.stem not in NO_CONFIG]
VERBS = ("prepare", "finetune", "unlearn", "sweep")
ARGUMENT = {
    "folders": ":smolvlm,gpt=https://localhost/v1@gpt",
    "llava7b_paper": ":small",
    "study_tiny": ":seeds=1",
}


def configs(*, sweeping: bool = False) -> list[str]:
    """Each configuration, with an argument where it needs one."""
    found = [p for p in FILES if not sweeping or "sweep" in p.read_text()]
    return [f"{p.relative_to(ROOT)}{ARGUMENT.get(p.stem, '')}" for p in found]


def dry_runs(commands, verb: str, cases: list[list[str]]) -> list[dict]:
    """What a verb prints for each list of arguments, in one process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.experiments.dry_runs", verb],
        cwd=ROOT,
        env=commands.environment,
        input="".join(f"{shlex.join(case)}\n" for case in cases),
        capture_output=True,
        text=True,
        check=False,
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases), done.stderr
    return found


def of_people(config: str) -> bool:
    """Whether a configuration asks about the people of MLLMU-Bench."""
    return "/mllmu/" in config or "/bench/" in config


def flags(config: str, data: Path) -> list[str]:
    """A configuration with few people."""
    groups = ("forget", "retain", "celebrity", "captions")
    few = [f"--config.benchmark.limit.{group}=1" for group in groups]
    more = few if of_people(config) else ["--config.objective.name=random"]
    return [f"--config={config}", f"--config.benchmark.data_dir={data}", *more]


@pytest.mark.parametrize(
    "verb",
    [
        *(pytest.param(v, marks=pytest.mark.slow) for v in VERBS),
        "bench.__main__",
    ],
)
def test_every_configuration_has_a_plan(commands, data_dir, tmp_path, verb):
    """With data where the small generated people are enough, and without any."""
    before = sorted(data_dir.rglob("*"))
    workdir = [f"--workdir={tmp_path / 'study' / 'run'}"]
    bench = verb == "bench.__main__"
    more = [] if bench or verb == "prepare" else workdir
    cases = [
        [*flags(config, data), *more]
        for config in configs(sweeping=verb == "sweep")
        if not bench or "/bench/" in config
        for data in (data_dir, tmp_path / "nothing")
        # There is data of people alone; with it, configurations of smol read weights of packages.
        if data != data_dir or (of_people(config) and "smol" not in config)
    ]
    assert len(cases) >= 4
    for found in dry_runs(commands, verb, cases):
        assert not found["error"], found
        first, *_, last = found["output"].splitlines()
        assert last == "dry run: nothing was written"
        assert first.startswith("data: ")
        if more and "there is nothing to do" not in found["output"]:
            assert str(tmp_path / "study") in found["output"]
    assert not list(tmp_path.iterdir()) and sorted(data_dir.rglob("*")) == before
