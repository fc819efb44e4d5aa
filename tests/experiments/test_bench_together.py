"""The command that trains runs one by one and as one program."""

import re

import pytest

CONFIG = "configs/mllmu/alike_tiny.py"


@pytest.mark.thorough
def test_its_plan_writes_nothing(commands, tmp_path):
    workdir = tmp_path / "alike"
    done = commands.run("bench.together", "--config", CONFIG, "--workdir", workdir, "--dry_run")
    assert done.returncode == 0, done.stderr
    assert f"4 runs into {workdir / 'apart'} and again into {workdir / 'together'}" in done.stdout
    assert not workdir.exists()


@pytest.mark.slow
def test_both_ways_are_timed_and_end_at_the_same_weights(commands, data_dir, tmp_path):
    small = ["--config.benchmark.limit.forget=2", "--config.benchmark.limit.retain=2"]
    small += ["--config.benchmark.limit.celebrity=2", "--config.benchmark.limit.captions=4"]
    small += ["--config.model.decoder.width=64", "--config.model.decoder.layers=1"]
    small += ["--config.model.projector.width=64", "--config.lora.rank=2"]
    data = f"--config.benchmark.data_dir={data_dir}"
    done = commands.run(
        "bench.together", "--config", CONFIG, data, *small, "--workdir", tmp_path / "alike"
    )
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^(apart|together): 4 runs, (\d+) updates", done.stdout, re.MULTILINE))
    assert found["apart"] == found["together"] and int(found["apart"]) >= 4
    assert "4 runs are trained together" in done.stderr
    largest, difference = (
        float(re.search(rf"^{words}[^:]*: (\S+)$", done.stdout, re.MULTILINE)[1])
        for words in ("largest weight", "largest difference")
    )
    assert largest > 0.01 and difference < 1e-3 * largest
