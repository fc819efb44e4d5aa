"""A sweep goes on where a run diverges, and with what does not start from it."""

from pathlib import Path

from ml_collections import ConfigDict

from mllm.studies import sweep
from mllm.studies.sweep import run_all
from mllm.training.diverged import Diverged


def test_a_sweep_passes_over_what_diverged(monkeypatch):
    def ensure(name, config, workdir, system, benchmark):
        if name == "wild":
            raise Diverged(workdir / name, "its loss is nan at step 3")
        return name

    monkeypatch.setattr(sweep, "ensure_together", lambda *_: None)
    monkeypatch.setattr(sweep, "ensure", ensure)
    monkeypatch.setattr(sweep, "evaluate", lambda run, *_: f"evaluation of {run}")
    values = {"seed": 0, "objective": {"name": ""}, "evaluation": {"efficiency": False}}
    runs = [{"objective.name": name} for name in ("calm", "wild", "tame")]
    told = []
    found = run_all(ConfigDict(values), runs, Path("study"), None, None, told.append)
    assert found[0] == "evaluation of calm" and found[2] == "evaluation of tame"
    assert isinstance(found[1], Diverged)
    assert [line for line in told if "wild is passed over" in line and "nan at step 3" in line]
