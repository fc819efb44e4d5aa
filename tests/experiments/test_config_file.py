"""The file that --config names: where it may lie, and what is said of one that cannot be used."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import config_file

ROOT = Path(__file__).parents[2]
GOOD = """
from ml_collections import ConfigDict

def get_config(argument="none"):
    if argument == "bad":
        raise ValueError("expected another argument")
    return ConfigDict({"argument": argument})
"""


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    mine = ("configs/mine.py", "configs/common.py")
    for name in (*mine, "plain.py", "a:b/c.py", "home/mine.py", "with space/Zürich ☃/my config.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(GOOD, encoding="utf-8")
    (tmp_path / "link.py").symlink_to("plain.py")
    return tmp_path


@pytest.mark.parametrize(
    "given, path, argument",
    [
        ("plain.py", "plain.py", "none"),
        ("plain.py:x,y=1", "plain.py", "x,y=1"),
        ("plain.py:", "plain.py", ""),
        ("plain.py:gpt=https://api/v1@m", "plain.py", "gpt=https://api/v1@m"),
        ("a:b/c.py", "a:b/c.py", "none"),
        ("a:b/c.py:x:y", "a:b/c.py", "x:y"),
        ("~/mine.py:x", "home/mine.py", "x"),
        ("$HOME/mine.py", "home/mine.py", "none"),
        ("with space/Zürich ☃/my config.py", "with space/Zürich ☃/my config.py", "none"),
        ("link.py", "link.py", "none"),
        ("configs/mine.py", "configs/mine.py", "none"),
        ("configs/common.py", "configs/common.py", "none"),  # of the working directory, not ours
    ],
)
def test_a_file_is_found_and_given_its_argument(files, given, path, argument):
    assert config_file.ConfigParser().parse(given).argument == argument
    assert files / config_file.split(given)[0] == files / path


def test_a_configuration_of_the_checkout_is_found_from_any_folder():
    path, arguments = config_file.split("configs/mllmu/sweep_tiny.py:seeds=2")
    assert (path, arguments) == (ROOT / "configs/mllmu/sweep_tiny.py", ["seeds=2"])
    assert config_file.ConfigParser().parse("configs/mllmu/sweep_tiny.py:seeds=2").sweep_seeds == 2


@pytest.mark.parametrize(
    "text, message",
    [
        ("x = (\n", "bad.py, line 1: SyntaxError"),
        ("\nimport no_such_module\n", "bad.py, line 2: ModuleNotFoundError"),
        ("def get_config():\n    return {}.limit\n", "bad.py, line 2: AttributeError"),
        ("x = 1\n", r"bad.py: has no function get_config\(\)"),
        ("def get_config():\n    pass\n", r"bad.py: get_config\(\) returned NoneType"),
        ("def get_config():\n    raise ValueError('mine')\n", "^mine$"),
    ],
)
def test_the_line_of_a_fault_is_named(files, text, message):
    (files / "bad.py").write_text(text)
    with pytest.raises(ValueError, match=message):
        config_file.ConfigParser().parse("bad.py")


@pytest.mark.parametrize(
    "given, message",
    [
        ("none.py", "--config none.py: no such file"),
        ("none.py:x", "--config none.py: no such file"),
        ("home", "--config home: is a folder"),
    ],
)
def test_a_file_that_is_not_there_is_named(given, message):
    with pytest.raises(FileNotFoundError, match=message):
        config_file.ConfigParser().parse(given)


@pytest.mark.parametrize("package", [True, False])
def test_configs_of_the_working_directory_do_not_hide_ours(tmp_path, package):
    """They are found after ours, whether or not they are a package."""
    mine = tmp_path / "configs"
    mine.mkdir(exist_ok=True)
    if package:
        (mine / "__init__.py").touch()
    (mine / "common.py").write_text("LEARNING_RATE = 1e-4\n")
    (mine / "extra.py").write_text("SEED = 7\n")
    (tmp_path / "mine.py").write_text(
        "from configs import common, extra\n"
        "def get_config():\n"
        "    config = common.get_config()\n"
        "    config.seed = extra.SEED\n"
        "    return config\n"
    )
    code = (
        "import sys; from experiments.config_file import ConfigParser\n"
        f"sys.path.remove({str(ROOT)!r})\n"
        "print(ConfigParser().parse('mine.py').seed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "7\n", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder, package, name, runs",
    [
        ("", False, "report", "ours"),
        ("experiments", False, "report", "ours"),
        ("experiments/__init__.py", True, "report", "ours"),
        ("experiments/common.py", True, "report", "ours"),
        ("experiments/report.py", True, "report", "theirs"),  # Python's own rule
        ("experiments/own.py", True, "own", "theirs"),
        ("experiments/own.py", False, "own", "theirs"),
        ("experiments/own/__main__.py", True, "own", "theirs"),
    ],
)
def test_a_command_starts_in_a_folder_with_experiments_of_its_own(
    tmp_path, folder, package, name, runs
):
    """The line that the package installs is run at the start, and hides nothing of the folder."""
    site = tmp_path / "site"
    site.mkdir()
    shutil.copy(ROOT / "mllm_commands.pth", site)
    (site / "a.pth").write_text(f"{ROOT}\n")
    place = tmp_path / "place"
    place.mkdir()
    if folder.endswith(".py"):
        (place / folder).parent.mkdir(parents=True)
        (place / folder).write_text("print('theirs')\n")
    elif folder:
        (place / folder).mkdir()
    if package:
        (place / "experiments/__init__.py").touch()
    # What a virtual environment does with its own folder of packages.
    start = f"import site; site.addsitedir({str(site)!r})"
    (tmp_path / "sitecustomize.py").write_text(start)
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", "--help"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    found = "theirs" if "theirs" in done.stdout else "ours"
    assert found == runs and done.returncode == 0, done.stderr
