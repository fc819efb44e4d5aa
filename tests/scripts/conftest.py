"""A checkout, and a cloud that runs its scripts."""

import shutil
from pathlib import Path

import pytest
from stub_cloud import ROOT, Cloud, git


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """A repository of what the scripts read; tests that change it copy it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("tpu_scripts", "experiments"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", folder)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@pytest.fixture
def cloud(checkout, tmp_path) -> Cloud:
    return Cloud(checkout, tmp_path / "cloud")
