"""A parent is found by what it holds, wherever a study is moved or linked; others are refused."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import published_folders as published
import pytest
from toy import make_model

from mllm.checkpoints.folder import load_model, save_model, write_description
from mllm.checkpoints.orbax import Checkpoints
from mllm.checkpoints.parents import has_parent
from mllm.checkpoints.record import RUN, SAVED, small_files
from mllm.files import read_run, write_sealed
from mllm.ops.lora import init_lora

LORA = {"rank": 2, "targets": "decoder"}


def finish(folder: Path, digest: str) -> None:
    files = small_files(folder)
    write_sealed(folder / RUN, {"status": "finished", "checkpoint_digest": digest, "files": files})


def write_base(folder: Path, seed: int = 0) -> None:
    model = make_model(seed)
    save_model(folder, model)
    (folder / SAVED).unlink()
    finish(folder, model.digest())


def write_child(folder: Path, parent: Path) -> None:
    above = load_model(parent)
    adapter = init_lora(above.variables["params"], jax.random.key(1), **LORA)
    described = replace(above, variables={}, lora=LORA)
    write_description(folder, described, collections=["lora"], parent=parent)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        checkpoints.save(3, {"lora": jax.tree.map(lambda x: x + 0.01, adapter)}, {})
    finish(folder, load_model(folder).digest())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A tree: ``hf`` is a Hugging Face folder; ``runs/s`` holds ``base`` with the child ``method``,
    and ``imported``, which points at ``hf``, with the child ``tuned``.
    """
    root = tmp_path_factory.mktemp("study")
    published.write("llava", root / "hf")
    runs = root / "runs" / "s"
    write_base(runs / "base")
    write_child(runs / "method", runs / "base")
    loaded = load_model(root / "hf")
    described = replace(loaded, variables={})
    write_description(runs / "imported", described, collections=[], parent=root / "hf")
    finish(runs / "imported", loaded.digest())
    write_child(runs / "tuned", runs / "imported")
    return root


def digests(runs: Path) -> dict[str, str]:
    return {
        path.name: load_model(path).digest() for path in sorted(runs.iterdir()) if path.is_dir()
    }


def link_runs(root: Path) -> Path:
    (root / "runs").rename(root / "far")
    (root / "runs").symlink_to(root / "far")
    return root / "runs" / "s"


def link_study(root: Path) -> Path:
    (root / "runs" / "s").rename(root / "far")
    (root / "runs" / "s").symlink_to(root / "far")
    return root / "runs" / "s"


def link_each_run(root: Path) -> Path:
    (root / "disk" / "deep").mkdir(parents=True)
    for name in ("base", "method", "imported", "tuned"):
        (root / "runs" / "s" / name).rename(root / "disk" / "deep" / name)
        (root / "runs" / "s" / name).symlink_to(root / "disk" / "deep" / name)
    return root / "runs" / "s"


def link_parents_alone(root: Path) -> Path:
    (root / "disk").mkdir()
    for name in ("base", "imported"):
        (root / "runs" / "s" / name).rename(root / "disk" / f"{name}-2")
        (root / "runs" / "s" / name).symlink_to(root / "disk" / f"{name}-2")
    return root / "runs" / "s"


def move_deeper(root: Path) -> Path:
    (root / "a" / "b").mkdir(parents=True)
    (root / "runs" / "s").rename(root / "a" / "b" / "t")
    return root / "a" / "b" / "t"


def move_all(root: Path) -> Path:
    (root / "new").mkdir()
    for name in ("hf", "runs"):
        (root / name).rename(root / "new" / name)
    return root / "new" / "runs" / "s"


def rename_parents(root: Path) -> Path:
    for name in ("base", "imported"):
        (root / "runs" / "s" / name).rename(root / "runs" / "s" / f"{name}-of-may")
    return root / "runs" / "s"


def link_weights(root: Path) -> Path:
    (root / "blobs").mkdir()
    for path in sorted((root / "hf").iterdir()):
        path.rename(root / "blobs" / path.name)
        path.symlink_to(root / "blobs" / path.name)
    return root / "runs" / "s"


MOVES = (
    link_runs,
    link_study,
    link_each_run,
    link_parents_alone,
    move_deeper,
    move_all,
    rename_parents,
    link_weights,
)


def copied(study: Path, folder: Path) -> Path:
    """Copy the tree, and let it know of the copy alone."""
    shutil.copytree(study, folder)
    for name in ("method", "tuned", "imported"):
        where = folder / "runs" / "s" / name
        text = (where / "model.json").read_text()
        (where / "model.json").write_text(text.replace(str(study.resolve()), str(folder.resolve())))
        finish(where, read_run(where / RUN)["checkpoint_digest"])
    return folder


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
def test_a_moved_or_linked_study_finds_its_parents(study, tmp_path, move, monkeypatch):
    wanted = digests(study / "runs" / "s")
    runs = move(copied(study, tmp_path / "copy"))
    found = digests(runs)
    assert {name.removesuffix("-of-may"): digest for name, digest in found.items()} == wanted
    monkeypatch.chdir(runs)
    assert load_model(Path("method")).digest() == wanted["method"]
    assert load_model(Path("..") / runs.resolve().name / "tuned").digest() == wanted["tuned"]


def replace_base(root: Path) -> Path:
    shutil.rmtree(root / "runs" / "s" / "base")
    write_base(root / "runs" / "s" / "base", seed=1)
    return root / "runs" / "s" / "base"


def edit(name: str, old: bytes, new: bytes):
    def change(root: Path) -> Path:
        path = root / name
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
        return path

    change.__name__ = name
    return change


def flip_weights(root: Path) -> Path:
    path = sorted((root / "hf").glob("*.safetensors"))[-1]
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(bytes(content))
    return path


CHANGES = {
    replace_base: "method",
    edit("runs/s/base/model.json", b'"rope_theta": ', b'"rope_theta": 1'): "method",
    edit("runs/s/method/processor.json", b"bicubic", b"bilinear"): "method",
    edit("runs/s/imported/model.json", b'"system_prompt": null', b'"system_prompt": "No"'): "tuned",
    edit("runs/s/base/run.json", b'"checkpoint_digest": "', b'"checkpoint_digest": "0'): "method",
    edit("hf/config.json", b'"hidden_size"', b'"hidden_size" '): "tuned",
    edit("hf/tokenizer.json", b"{", b"{ "): "imported",
    flip_weights: "tuned",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_is_not_what_a_run_started_from_is_named(study, tmp_path, change):
    root = copied(study, tmp_path / "copy")
    path = change(root)
    with pytest.raises(ValueError) as error:
        load_model(root / "runs" / "s" / CHANGES[change])
    named = os.path.realpath(str(path))
    assert named in os.path.realpath(str(error.value).partition(":")[0]) or str(path) in str(
        error.value
    )
    assert "\n" not in str(error.value)


def test_a_parent_that_is_gone_is_named(study, tmp_path):
    root = copied(study, tmp_path / "copy")
    shutil.rmtree(root / "runs" / "s" / "base")
    with pytest.raises(FileNotFoundError, match=r"method/model\.json: key 'parent': there is no"):
        load_model(root / "runs" / "s" / "method")


def test_an_import_whose_folder_was_moved_is_made_again_from_there(study, tmp_path):
    root = copied(study, tmp_path / "copy")
    imported = root / "runs" / "s" / "imported"
    assert has_parent(imported) and has_parent(root / "runs" / "s" / "base")
    (root / "hf").rename(root / "other")
    assert not has_parent(imported)
    with pytest.raises(FileNotFoundError, match=r"no folder .*/hf; .* --config\.pretrained=FOLDER"):
        load_model(imported)
    described = replace(load_model(root / "other"), variables={})
    digest = read_run(imported / RUN)["checkpoint_digest"]
    write_description(imported, described, collections=[], parent=root / "other")
    finish(imported, digest)
    assert has_parent(imported)
    assert (
        load_model(root / "runs" / "s" / "tuned").digest()
        == load_model(study / "runs" / "s" / "tuned").digest()
    )
