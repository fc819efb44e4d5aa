"""What is computed once equals what would be computed in every step."""

import hashlib

import numpy as np
import pytest
from toy import make_model, make_pipeline

from mllm.studies import precomputed
from mllm.training.values import packed_logprobs
from mllm.unlearning.roles import FORGET


@pytest.fixture(scope="module")
def model():
    return make_model(1)


@pytest.mark.thorough
@pytest.mark.slow
def test_batches_with_media_are_those_with_images(model, tmp_path):
    pipeline, once = make_pipeline(model), make_pipeline(model)
    once.pictures.made = precomputed.made_of_pictures(model, once, tmp_path)
    assert not list(tmp_path.iterdir())  # tokens follow from weights that train: none are kept
    shown = False
    for batch, other in zip(pipeline.epoch(0), once.epoch(0), strict=True):
        rng = np.random.default_rng(0)
        batch, other = pipeline.batch(batch, rng), once.batch(other, rng)
        images, tokens = batch["media"]["image"], other["media"]["image"]
        assert "values" not in tokens and "tokens" in tokens
        np.testing.assert_array_equal(images["slots"], tokens["slots"])
        shown = shown or (images["slots"] >= 0).any()
        found, expected = (
            packed_logprobs(model.model, model.config, model.variables, one)
            for one in (other, batch)
        )
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert shown


@pytest.mark.parametrize("memory", [0, 1 << 30])
def test_what_has_no_room_is_not_kept(model, memory, tmp_path, monkeypatch):
    monkeypatch.setattr(precomputed, "memory_share", lambda: memory)
    made = precomputed.made_of_pictures(model, make_pipeline(model), tmp_path)
    assert (made is None) == (memory == 0)


def test_reference_values_are_kept_and_follow_what_they_depend_on(model, tmp_path, monkeypatch):
    pipeline = make_pipeline(model)
    found = precomputed.kept_logprobs(tmp_path, model, pipeline, [FORGET], "one")
    forget = [example.index for example in pipeline.examples if example.role == FORGET]
    assert forget and (found[forget] < 0).all()
    calls = []
    monkeypatch.setattr(
        precomputed, "reference_logprobs", lambda *arguments: calls.append(1) or found + 1
    )
    again = precomputed.kept_logprobs(tmp_path, model, pipeline, [FORGET], "one")
    np.testing.assert_array_equal(again, found)
    assert not calls
    other = precomputed.kept_logprobs(tmp_path, model, pipeline, [FORGET], "two")
    np.testing.assert_array_equal(other, found + 1)
    assert calls == [1]


def test_values_from_before_their_name_was_in_the_digest_are_found_again(
    model, tmp_path, monkeypatch
):
    pipeline = make_pipeline(model)
    right = np.arange(len(pipeline.examples), dtype=np.float32)
    bound = hashlib.sha256(b"one" + right.tobytes()).hexdigest()
    np.savez(tmp_path / precomputed.FILE, logprobs=right, depends_on=bound)
    monkeypatch.setattr(precomputed, "reference_logprobs", lambda *_: pytest.fail("computed again"))
    found = precomputed.kept_logprobs(tmp_path, model, pipeline, [FORGET], "one")
    np.testing.assert_array_equal(found, right)


def edited(path, **values):
    """Write another file in the form of the kept one, with some of its entries changed."""
    with np.load(path) as kept:
        entries = {**kept, **values}
    np.savez(path, **entries)


DAMAGES = {
    "flipped": lambda path: path.write_bytes(
        bytes(byte ^ (place == 90) for place, byte in enumerate(path.read_bytes()))
    ),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:150]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no archive"),
    "other values": lambda path: edited(path, logprobs=np.load(path)["logprobs"] - 1),
    "other type": lambda path: edited(path, logprobs=np.load(path)["logprobs"].astype(np.float64)),
    "other run": lambda path: edited(path, depends_on="two"),
    "no values": lambda path: np.savez(path, depends_on="one"),
}


def test_damaged_or_foreign_reference_values_are_computed_again(
    model, tmp_path, monkeypatch, capsys
):
    pipeline = make_pipeline(model)
    right = np.arange(len(pipeline.examples), dtype=np.float32)
    monkeypatch.setattr(precomputed, "reference_logprobs", lambda *arguments: right.copy())
    path = tmp_path / precomputed.FILE
    for name, damage in DAMAGES.items():
        precomputed.kept_logprobs(tmp_path, model, pipeline, [FORGET], "one")
        damage(path)
        capsys.readouterr()
        again = precomputed.kept_logprobs(tmp_path, model, pipeline, [FORGET], "one")
        np.testing.assert_array_equal(again, right, err_msg=name)
        assert f"{path}: is damaged or of another run" in capsys.readouterr().err, name
