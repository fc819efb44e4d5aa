"""The direction of imports: rooms know the rooms below them, never those above."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BASE = {"registry", "files", "paths"}  # helpers that know no room
BELOW = {
    "ops",
    "models",
    "checkpoints",
    "data",
    "parallel",
    "decoding",
    "training",
    "unlearning",
    "evaluation",
    "studies",
}
ALLOWED = {
    "ops": {"ops"},
    "models": {"ops", "models"},
    "data": {"data"},
    "checkpoints": {"ops", "models", "checkpoints", "data", "parallel"},
    "parallel": {"parallel"},
    "decoding": {"ops", "models", "decoding", "parallel"},
    "unlearning": {"ops", "training", "unlearning"},
    "training": {"ops", "models", "checkpoints", "data", "training", "parallel"},
    "evaluation": {"ops", "models", "checkpoints", "data", "decoding", "evaluation", "parallel"},
    "studies": BELOW,
    "reporting": {"reporting", "evaluation"},
    "benchmarks": {*BELOW, "reporting", "benchmarks"},
}
FILES = sorted((ROOT / "mllm").rglob("*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_import_only_what_lies_below(path):
    parts = path.relative_to(ROOT / "mllm").with_suffix("").parts
    names = imported(path)
    outside = {name.split(".")[0] for name in names}
    assert not outside & {"torch", "tensorflow", "pickle", "experiments", "configs", "tests"}
    if len(parts) == 1:
        return
    rooms = {name.split(".")[1] for name in names if name.startswith("mllm.")}
    assert rooms - BASE <= ALLOWED[parts[0]], f"{path} imports {sorted(rooms)}"
    if parts[0] == "ops":
        standard = {"collections", "contextlib", "contextvars", "dataclasses", "functools", "re"}
        # NumPy makes the tables that are constants of a program, such as mel filters.
        assert outside <= {"jax", "flax", "numpy", "mllm", "typing", *standard}


def test_starting_a_command_starts_no_other_framework():
    slow = ("tensorflow", "torch", "tensorboardX", "scipy.signal", "scipy.stats", "sklearn", "nltk")
    code = (
        "import mllm, experiments.sweep, mllm.benchmarks.mllmu, sys; "
        f"print([m for m in {slow} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_files_keep_to_one_subject():
    long = {
        str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long, f"over 400 lines: {long}"
