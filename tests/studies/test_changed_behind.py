"""Each file of a study is changed behind the program's back, one at a time. Then the next verbs
run, and each gives what it gave before or names the file. No number changes in silence.

The study has a model from scratch, two methods and an imported Hugging Face folder. The verbs score
the replies on disk, ask the models anew, train anew, and report.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import published_folders
import pytest

from mllm.benchmarks import get_report
from mllm.benchmarks.mllmu import study as system
from mllm.reporting.collect import collect
from mllm.reporting.report import merge_results
from mllm.studies.evaluate import evaluate
from mllm.studies.run import open_run
from mllm.studies.train import ensure
from tests.experiments import micro

# Each stage that is evaluated, and the folder of its run; base is only started from.
FOLDERS = {"vanilla": "vanilla", "npo": "npo_15", "prompting": "prompting_15"}
IMPORTED = "pretrained"  # a run of a Hugging Face folder
EVALUATED = (*FOLDERS, IMPORTED)
LEAVES = 2  # of a JSON file that are changed one at a time


def configure(root: Path, name: str = ""):
    """Return the configuration of the study below a folder, or of its run of an imported model."""
    config = micro.get_config()
    config.benchmark.update(data_dir=str(root / "data"))
    config.benchmark.limit.update(forget=1, retain=1, celebrity=1, captions=1)
    config.base.update(epochs=1)
    config.evaluation.update(generation_tokens=2, classification_tokens=2, cloze_tokens=2)
    if name == IMPORTED:
        config.pretrained = str(root / "model")
        config.model = {"dtype": "float32"}
    return config


def train(root: Path, name: str):
    """Return the finished run of a stage, with its configuration and its benchmark."""
    config = configure(root, name)
    benchmark = system.open_benchmark(config)
    run = ensure(name, config, root / "runs", system, benchmark)
    return open_run(run.folder, config, benchmark.fingerprint), config, benchmark


def scores(root: Path, name: str) -> list[dict]:
    run, config, benchmark = train(root, name)
    return evaluate(run, config, system, benchmark).entry["scores"]


def asked_anew(root: Path, name: str) -> list[dict]:
    shutil.rmtree(root / "runs" / FOLDERS.get(name, name) / "eval", ignore_errors=True)
    return scores(root, name)


def trained_anew(root: Path, name: str) -> str:
    shutil.rmtree(root / "runs" / FOLDERS[name], ignore_errors=True)
    return train(root, name)[0].record()["checkpoint_digest"]


def reported(root: Path) -> list[dict]:
    """Return what the tables hold; runs that are left out are printed."""
    sweep = collect(root / "runs", get_report("mllmu").layout)
    for problem in sweep.problems:
        print(problem.name, problem.reason)
    runs = merge_results(sweep)["runs"]
    return [{key: run[key] for key in ("method", "seed", "scores")} for run in runs]


def verbs(root: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what each verb gives, or the error that it raises."""
    found: dict[str, Any] = {}

    def do(title: str, verb: Callable[..., Any], *arguments: str) -> None:
        try:
            found[title] = verb(root, *arguments)
        except (ValueError, FileNotFoundError) as error:  # what a command prints as one line
            found[title] = error

    do("the report", reported)
    for name in names:
        do(f"{name}, scored again", scores, name)
    for name in names:
        do(f"{name}, asked anew", asked_anew, name)
    if "vanilla" in names:
        do("npo, trained anew", trained_anew, "npo")
    return found


def dependent(path: Path) -> tuple[str, ...]:
    """Return the stages whose numbers depend on a file of a study, by its path there."""
    room, folder = path.parts[:2]
    if room == "data":
        return EVALUATED
    if room == "model" or folder == IMPORTED:
        return (IMPORTED,)
    owners = [name for name, place in FOLDERS.items() if place == folder]
    return tuple(FOLDERS) if folder in ("base", "vanilla") else tuple(owners)


@pytest.fixture(scope="module")
def study(tmp_path_factory, data_dir) -> Path:
    """Return the folder of a finished study, of which a copy is kept next to it."""
    root = tmp_path_factory.mktemp("changed") / "study"
    shutil.copytree(data_dir, root / "data")
    published_folders.write("llava", root / "model")
    for name in EVALUATED:
        scores(root, name)
    shutil.copytree(root, kept(root), symlinks=True)
    return root


@pytest.fixture(scope="module")
def expected(study) -> Callable[[tuple[str, ...]], dict[str, Any]]:
    """Return a function to what the verbs give where nothing was changed."""

    @cache
    def unchanged(names: tuple[str, ...]) -> dict[str, Any]:
        put_back(study)
        found = verbs(study, names)
        assert not [error for error in found.values() if isinstance(error, Exception)], found
        return found

    return unchanged


def kept(root: Path) -> Path:
    return root.with_name("kept")


def put_back(root: Path) -> None:
    """Make a study what it was when it was finished."""
    shutil.rmtree(root)
    shutil.copytree(kept(root), root, symlinks=True)


def edits(path: Path) -> Iterator[tuple[str, bytes | None]]:
    """Yield ways to change a file: other values in JSON, another byte elsewhere, half of the file,
    and no file.
    """
    content = path.read_bytes()
    if path.suffix == ".json":
        yield from other_values(content, random.Random(path.name))
    elif path.suffix == ".jsonl":
        first, _, rest = content.partition(b"\n")
        for label, changed in other_values(first, random.Random(path.name)):
            yield f"line 1, {label}", changed + b"\n" + rest
    elif content:
        middle = len(content) // 2
        yield "a byte", content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    if content:
        yield "half of it", content[: len(content) // 2]
    yield "no such file", None


def other_values(content: bytes, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield a JSON object with one of its values changed, for some of its values."""
    places = list(leaves(json.loads(content)))
    for place in rng.sample(places, min(LEAVES, len(places))):
        changed = json.loads(content)
        section = changed
        for key in place[:-1]:
            section = section[key]
        value = section[place[-1]]
        if isinstance(value, bool):
            section[place[-1]] = not value
        else:
            section[place[-1]] = value + 1 if isinstance(value, int | float) else f"{value}x"
        yield ".".join(map(str, place)), json.dumps(changed).encode()


def leaves(value: Any, place: tuple = ()) -> Iterator[tuple]:
    """Yield the place of each text and number of a JSON value."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*place, key))
    elif value is not None:
        yield place


def named(path: Path, root: Path, said: str) -> bool:
    """Whether a text names a file, or a folder that is read as a whole and holds it."""
    whole = [folder for folder in path.parents if folder.is_relative_to(root)]
    rooms = ("checkpoints", "huggingface", "data", "model")
    read = [folder for folder in whole if {*rooms} & {*folder.relative_to(root).parts}]
    return path.name in said or any(str(folder) in said for folder in read)


def silent(root: Path, place: Path, expected, capfd) -> Iterator[str]:
    """Yield the verbs that give other numbers, or fail, without naming the file at a place."""
    names = dependent(place)
    usual = expected(names)
    for label, content in edits(kept(root) / place):
        put_back(root)
        target = root / place
        target.unlink() if content is None else target.write_bytes(content)
        capfd.readouterr()
        found = verbs(root, names)
        errors = [str(value) for value in found.values() if isinstance(value, Exception)]
        said = "\n".join([*capfd.readouterr(), *errors])
        for verb, value in found.items():
            if value != usual[verb] and not named(target, root, said):
                yield f"{place}, {label}: {verb}: {str(value)[:300]}"


@pytest.mark.slow
@pytest.mark.parametrize("room", ["data", "model", "runs/base", "runs/vanilla", "runs/[np]*"])
def test_no_number_changes_in_silence(study, expected, capfd, room):
    files = sorted(path for path in kept(study).glob(f"{room}/**/*") if path.is_file())
    places = [path.relative_to(kept(study)) for path in files]
    assert places
    found = [line for place in places for line in silent(study, place, expected, capfd)]
    assert not found, "\n".join(found)
