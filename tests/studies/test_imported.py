"""What a study imports is named by the content of its files, wherever they lie."""

import shutil
from unittest.mock import ANY

import jax
import published_folders as published
import pytest
from ml_collections import ConfigDict
from toy import make_model

from mllm.checkpoints.folder import load_model, save_model
from mllm.checkpoints.peft import write_adapter
from mllm.checkpoints.tables import TABLES
from mllm.ops.lora import init_lora
from mllm.studies.identity import identity, made_from
from mllm.studies.stage import Stage
from mllm.studies.start import imported_files


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model of Hugging Face, an adapter for it, and one of our own."""
    root = tmp_path_factory.mktemp("imported")
    published.write("llava", root / "hf")
    params = load_model(root / "hf").variables["params"]
    lora = init_lora(params, jax.random.key(0), rank=2, targets="decoder/layers/q")
    write_adapter(root / "adapter", lora, TABLES["llava"], "../hf")
    save_model(root / "ours", make_model())
    return root


def test_files_are_known_by_content_and_not_by_place(folders, tmp_path):
    shutil.copytree(folders, tmp_path / "far" / "copy")
    for name in ("hf", "adapter", "ours"):
        found = imported_files(str(folders / name))
        assert found and found == imported_files(str(tmp_path / "far" / "copy" / name))
        (tmp_path / name).symlink_to(tmp_path / "far" / "copy" / name)
        assert found == imported_files(str(tmp_path / name))
    (tmp_path / "hf" / "README.md").write_text("Nobody is asked this.")
    assert imported_files(str(tmp_path / "hf")) == imported_files(str(folders / "hf"))


def test_every_file_that_is_read_counts(folders, tmp_path):
    seen = {name: imported_files(str(folders / name)) for name in ("hf", "adapter", "ours")}
    assert {"config.json", "tokenizer.json"} < set(seen["hf"])
    assert sum(name.endswith(".safetensors") for name in seen["hf"]) > 0
    assert set(seen["adapter"]) > {f"base/{name}" for name in seen["hf"]}
    assert {"model.json", "checkpoints/0/digests.json"} < set(seen["ours"])
    shutil.copytree(folders, tmp_path / "copy")
    for name in seen["hf"]:
        path = tmp_path / "copy" / "hf" / name
        kept = path.read_bytes()
        changed = kept[:-1] + b" " if name.endswith(".safetensors") else kept + b" "
        path.write_bytes(changed)
        found = imported_files(str(tmp_path / "copy" / "hf"))
        assert found == {**seen["hf"], name: ANY} and found[name] != seen["hf"][name]
        assert imported_files(str(tmp_path / "copy" / "adapter")) != seen["adapter"]
        path.write_bytes(kept)


def test_a_chat_template_given_as_a_file_counts_by_its_content(folders, tmp_path):
    plain, template = imported_files(str(folders / "hf"), "vicuna"), tmp_path / "mine.jinja"
    assert plain == imported_files(str(folders / "hf"))
    seen = []
    for source in ("{{ messages[0].content }}", "{{ messages[1].content }}"):
        template.write_text(source)
        seen.append(imported_files(str(folders / "hf"), str(template)))
    assert seen[0] == {**plain, "chat_format": ANY} and seen[0] != seen[1]


def test_an_identity_follows_the_files_and_not_their_place():
    config = ConfigDict({"seed": 0, "pretrained": "here/llava", "model": {"dtype": "float32"}})
    stage = Stage("pretrained", ("seed", "pretrained", "model"))

    def named(files, **values):
        config.update(values)
        return identity(made_from(stage, config, "data", {}, files))

    first = named({"a": "1"})
    assert first == named({"a": "1"}, pretrained="there")
    others = {named({"a": "2"}), named({"b": "1"}), named({"a": "1"}, seed=1)}
    assert len(others | {first}) == 4


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match=r"start from are 'smoll': no such folder"):
        imported_files("smoll")
