"""experiments.stress on a study: chosen runs and attacks, then the report."""

import pytest

from mllm.benchmarks.mllmu import study
from mllm.evaluation.inspection import read_inspection
from mllm.files import read_sealed, write_json
from mllm.studies.evaluate import evaluate
from mllm.studies.stress import NAME
from mllm.studies.train import ensure
from tests.experiments.micro import get_config as micro_config


@pytest.mark.slow
def test_chosen_attacks_on_chosen_runs(commands, data_dir, tmp_path):
    config = micro_config()
    config.benchmark.data_dir = str(data_dir)
    benchmark = study.open_benchmark(config)
    run = ensure("base", config, tmp_path / "seed0", study, benchmark)
    folder = evaluate(run, config, study, benchmark).folder
    stress = ("stress", "--workdir", tmp_path)

    assert "no such run; expected one of seed0/base" in commands.refused(*stress, "--only", "npo")
    message = commands.refused(*stress, "--attacks", "rounded_5")
    assert "unknown attack 'rounded_5'; did you mean 'rounded_" in message
    done = commands.run(*stress, "--dry_run")
    assert done.returncode == 0 and "seed0/base: as_saved, rounded_8" in done.stdout, done.stderr
    assert not (folder / "stress.json").exists()

    some = (*stress, "--only", "seed0/b*", "--steps", "1", "--attacks")
    done = commands.run(*some, "as_saved,adapter_none,relearn_few,swapped")
    assert done.returncode == 0, done.stderr
    assert "seed0/base, forget_15: 4 attacks in" in done.stdout
    found = read_inspection(folder, NAME, read_sealed(folder / "manifest.json"))
    assert list(found["attacks"]) == ["as_saved", "adapter_none", "relearn_few", "swapped"]
    assert found["attacks"]["adapter_none"] is None
    assert set(found["attacks"]["as_saved"]) == set(found["attacks"]["swapped"])
    assert "0 attacks in" in commands.run(*some, "swapped").stdout
    done = commands.run("report", "--workdir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Under attack" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.thorough
def test_a_benchmark_without_attacks_is_refused(commands, tmp_path):
    record = {"config": {"benchmark": {"name": "scale"}}}
    write_json(tmp_path / "run" / "run.json", record)
    message = commands.refused("stress", "--workdir", tmp_path)
    assert f"{tmp_path}: its benchmark 'scale' offers no attacks" in message
