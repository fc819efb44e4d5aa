"""`experiments.report --against`: two studies on the command line."""

import pytest

from tests.benchmarks.mllmu.conftest import make_sweep, write_run

pytestmark = pytest.mark.thorough
PEOPLE = {"forget": 6, "retain": 6, "celebrity": 6}


@pytest.mark.slow
def test_a_study_is_compared_or_refused(commands, tmp_path):
    first = make_sweep(tmp_path / "first", methods=("vanilla", "npo"), profiles=PEOPLE)
    second = make_sweep(tmp_path / "second", methods=("vanilla", "ga", "npo"), profiles=PEOPLE)
    done = commands.run("report", "--workdir", first, "--against", second)
    assert done.returncode == 0, done.stderr
    assert "both studies have 2 rows. None differs distinguishably" in done.stdout
    for kind in ("html", "md", "csv", "tex"):
        assert str(first / f"against_second.{kind}") in done.stdout
        assert (first / f"against_second.{kind}").stat().st_size > 0
    write_run(tmp_path / "third", "npo", profiles=PEOPLE, protocol="paper")
    message = commands.refused("report", "--workdir", first, "--against", tmp_path / "third")
    assert "protocol is 'paper', theirs is 'strict'" in message
    assert not list(first.glob("against_third*"))
    planned = commands.run("report", "--workdir", first, "--against", second, "--dry_run")
    assert f"2 rows of {second} against {first}" in planned.stdout
