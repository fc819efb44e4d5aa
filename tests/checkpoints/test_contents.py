"""Files are compared with their digests: whatever is damaged is named, and nothing else is read."""

import shutil
from pathlib import Path

import jax
import pytest
from toy import make_model

from mllm.checkpoints.contents import Verification, below, comparing
from mllm.checkpoints.folder import load_model, save_model
from mllm.checkpoints.orbax import Checkpoints, set_aside_damaged


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


DAMAGES = {"flipped": flip, "cut": cut, "missing": Path.unlink}


def files_below(folder: Path) -> list[Path]:
    return sorted(
        p.relative_to(folder) for p in folder.rglob("*") if p.stat().st_size and p.is_file()
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_model(folder, make_model())
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_model_is_named_or_has_no_influence(saved, tmp_path, damage):
    digest, without = load_model(saved).digest(), []
    for name in files_below(saved):
        folder = tmp_path / "copy"
        shutil.copytree(saved, folder)
        DAMAGES[damage](folder / name)
        try:
            assert load_model(folder).digest() == digest
            without.append(name)
        except (ValueError, FileNotFoundError) as error:
            assert str(folder / name) in str(error) and "\n" not in str(error)
        shutil.rmtree(folder)
    # Nothing reads what Orbax writes about a step as a whole. A folder without a list of digests is
    # one from before there were lists.
    unread = [path for path in without if "params" not in path.parts and path.suffix != ".json"]
    lists = [path for path in without if path.name == "digests.json"]
    assert set(without) == {*unread, *lists} and (damage == "missing") == bool(lists)
    assert all(path.parts[0] == "checkpoints" for path in unread)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_taken(tmp_path, damage):
    where, tree = tmp_path / "checkpoints", {"decoder": {"embed": jax.numpy.ones((8, 8))}}
    with Checkpoints(where) as checkpoints:
        for step in (5, 10):
            trees = {"params": tree, "opt": {"step": jax.numpy.int32(step)}}
            checkpoints.save(step, trees, {"identity": "one"})
    assert set_aside_damaged(where) == []
    for name in files_below(where / "10"):
        if len(name.parts) == 1:  # Orbax writes these about the step, for nobody to read
            continue
        shutil.copytree(where, tmp_path / "copy")
        DAMAGES[damage](tmp_path / "copy" / "10" / name)
        [line] = set_aside_damaged(tmp_path / "copy")
        assert str(tmp_path / "copy" / "10" / name) in line
        with Checkpoints(tmp_path / "copy") as checkpoints:
            assert checkpoints.latest() == 5 and checkpoints.meta(5) == {"identity": "one"}
            checkpoints.save(10, {"params": tree, "opt": {"step": jax.numpy.int32(10)}}, {})
            assert not set_aside_damaged(tmp_path / "copy")
        shutil.rmtree(tmp_path / "copy")


def test_the_file_is_named_and_not_what_followed_from_it(tmp_path, monkeypatch):
    (tmp_path / "weights").write_text("other")
    recorded = {"weights": "0" * 64}
    arguments = below(tmp_path, recorded), recorded, tmp_path / "run.json", "Do this"
    named = pytest.raises(ValueError, match=r"weights: was changed.*run\.json holds\. Do this")
    with named, comparing(*arguments):
        raise KeyError("of the reader")
    monkeypatch.setattr(Verification, "weights", False)
    with pytest.raises(KeyError, match="of the reader"), comparing(*arguments):
        raise KeyError("of the reader")
    with comparing(*arguments):
        pass
