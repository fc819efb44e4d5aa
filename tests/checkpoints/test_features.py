"""Features on disk are those of one picture, one bank of encoders and one way to prepare pictures,
and whole; all others are computed again.
"""

import os
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_fused

from mllm.checkpoints.features import FeatureFiles, features_key
from mllm.data.images import Picture
from mllm.data.processor import Processor
from mllm.evaluation.looking import Features

NUMBER, OTHER = -1 - 0xABC, -1 - 0xDEF


@pytest.fixture
def files(tmp_path):
    return FeatureFiles(tmp_path, "k" * 64)


FEATURES = np.arange(6, dtype=np.float32).reshape(1, 6)


def test_features_are_read_as_they_were_written(files, tmp_path):
    assert files.read(NUMBER) is None and not files.has(NUMBER)
    files.write(NUMBER, FEATURES)
    np.testing.assert_array_equal(files.read(NUMBER), FEATURES)
    assert files.has(NUMBER) and files.read(OTHER) is None
    again = FeatureFiles(tmp_path, "k" * 64)
    np.testing.assert_array_equal(again.read(NUMBER), FEATURES)


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16"])
def test_features_keep_their_type(files, kind):
    features = FEATURES.astype(jnp.dtype(kind))
    files.write(NUMBER, features)
    found = files.read(NUMBER)
    assert found.dtype == features.dtype and found.tobytes() == features.tobytes()


DAMAGES = {
    "flipped": lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
    "cut": lambda data: data[:-4],
    "empty": lambda data: b"",
    "text": lambda data: b"no array",
    "longer": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_computed_again(files, damage):
    files.write(NUMBER, FEATURES)
    path = files.path(NUMBER)
    path.write_bytes(damage(path.read_bytes()))
    assert files.read(NUMBER) is None
    looked = []

    def look(image):
        looked.append(image["values"].shape)
        return np.repeat(FEATURES, 16, axis=0)

    picture = Picture(np.zeros((1, 16, 16, 3), np.uint8), ((16, 16),))
    (found,) = Features(files).of([NUMBER], lambda number: picture, look)
    np.testing.assert_array_equal(found, FEATURES)
    assert looked == [(16, 1, 16, 16, 3)]
    np.testing.assert_array_equal(files.read(NUMBER), FEATURES)


def test_files_of_other_pictures_and_other_encoders_are_no_features(files, tmp_path):
    files.write(NUMBER, FEATURES)
    other, moved = FeatureFiles(tmp_path, "j" * 64), files.path(OTHER)
    for path in (other.path(NUMBER), moved):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files.path(NUMBER).read_bytes())
    assert other.read(NUMBER) is None and files.read(OTHER) is None


def test_what_a_killed_process_left_is_not_taken_for_features(files, monkeypatch):
    """A process that dies while it writes leaves at most a file of another name."""
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        files.write(NUMBER, FEATURES)
    assert not files.has(NUMBER) and files.read(NUMBER) is None


@pytest.mark.thorough
@pytest.mark.slow
def test_features_follow_from_encoders_and_from_how_pictures_are_prepared():
    model = make_fused(1)
    processor, key = model.processor, features_key(model, model.processor)
    params = model.variables["params"]
    assert features_key(replace(model), processor) == key
    other = jax.tree.map(lambda leaf: leaf, params)
    other["projector"] = jax.tree.map(lambda leaf: leaf + 1, params["projector"])
    gate = replace(model.config, fusion=replace(model.config.fusion, gate="uniform"))
    same = replace(model, variables={"params": other}, config=gate)
    assert features_key(same, processor) == key
    other["vision"] = jax.tree.map(lambda leaf: leaf + 1, params["vision"])
    assert features_key(replace(model, variables={"params": other}), processor) != key
    coarse = replace(model.config, vision=replace(model.config.vision, image_size=24))
    assert features_key(replace(model, config=coarse), processor) != key
    cut = Processor(replace(processor.config, resample="nearest"), processor.tokenizer)
    assert features_key(model, cut) != key
    spoken = Processor(replace(processor.config, chat_format="inline"), processor.tokenizer)
    assert features_key(model, spoken) == key


def test_features_that_memory_does_not_hold_are_read_from_disk(files):
    kept = Features(files, limit=0)
    kept.add(NUMBER, FEATURES)
    np.testing.assert_array_equal(kept[NUMBER], FEATURES)
    assert list(kept) == [NUMBER] and OTHER not in kept
    files.path(NUMBER).unlink()
    with pytest.raises(FileNotFoundError, match="was removed or changed while it was in use"):
        kept[NUMBER]
