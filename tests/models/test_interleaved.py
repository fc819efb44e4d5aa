"""The family that writes pictures: its autoencoder, and a decoder that sees ids alone."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_codec import CODEC

from mllm.checkpoints.tables import table_of
from mllm.models import config_from_dict, config_to_dict, interleaved
from mllm.models.decoder import DecoderConfig
from mllm.models.interleaved import InterleavedConfig
from mllm.models.vit import patches
from mllm.models.vq import joined, to_images, to_pixels

DECODER = DecoderConfig(64, 32, layers=1, heads=4, kv_heads=2, head_dim=8, mlp_width=48)
CONFIG = InterleavedConfig(CODEC, DECODER)
QUERIES = replace(CONFIG, codec=replace(CODEC, slots=5, causal=True))
DENSE = replace(CONFIG, codec=replace(CODEC, mixer="dense", features=6, slots=3))
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)


@pytest.fixture(scope="module", params=[CONFIG, QUERIES, DENSE], ids=["grid", "queries", "dense"])
def model(request):
    return request.param, interleaved.init(request.param, jax.random.key(0))


def batch_of(images):
    return {"media": {"image": {"values": images[:, None]}}}


def test_a_configuration_survives_json():
    for config in (CONFIG, QUERIES, DENSE):
        described = config_to_dict("interleaved", config)
        assert config_from_dict(described) == ("interleaved", config)
    with pytest.raises(ValueError, match="causal codes need attention and slots"):
        replace(CODEC, causal=True)
    with pytest.raises(ValueError, match="mixer is 'conv', expected 'attention' or 'dense'"):
        replace(CODEC, mixer="conv")
    with pytest.raises(ValueError, match="patches of 7 pixels in pictures of 16"):
        replace(CODEC, patch_size=7)


def test_a_picture_is_codes_and_codes_are_a_picture(model):
    config, variables = model
    codes = interleaved.encode_pictures(config, variables, IMAGES)
    assert codes.shape == (3, config.codec.length) and codes.dtype == jnp.int32
    assert config.image_tokens == config.codec.length + 2
    drawn = interleaved.draw_pictures(config, variables, codes)
    assert drawn.shape == IMAGES.shape and drawn.dtype == jnp.uint8


def test_training_sees_the_codes_and_drawings_of_use(model):
    config, variables = model
    found = interleaved.outputs(config, variables, batch_of(IMAGES))
    codes = interleaved.encode_pictures(config, variables, IMAGES)
    np.testing.assert_array_equal(found["codes"], codes)
    drawn = interleaved.draw_pictures(config, variables, codes)
    shown = np.asarray(to_images(found["drawn"])).astype(int)
    assert np.abs(shown - np.asarray(drawn)).max() <= 1  # rounding
    book = np.asarray(variables["params"]["codec"]["codebook"], np.float64)
    book = book / np.linalg.norm(book, axis=-1, keepdims=True)
    vectors = np.asarray(found["vectors"], np.float64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, rtol=1e-5)
    np.testing.assert_array_equal(codes, (vectors @ book.T).argmax(-1))
    np.testing.assert_allclose(found["chosen"], book[np.asarray(codes)], rtol=1e-5, atol=1e-6)


def test_causal_codes_do_not_depend_on_later_queries():
    variables = interleaved.init(QUERIES, jax.random.key(0))
    vectors = interleaved.outputs(QUERIES, variables, batch_of(IMAGES))["vectors"]
    encoder = variables["params"]["codec"]["encoder"]
    change = jax.random.normal(jax.random.key(1), (16,))
    encoder["queries"] = encoder["queries"].at[3].add(change)
    changed = interleaved.outputs(QUERIES, variables, batch_of(IMAGES))["vectors"]
    difference = np.abs(np.asarray(changed - vectors)).max(axis=(0, 2))
    assert (difference[:3] == 0).all() and (difference[3:] > 1e-6).all()


def test_the_family_has_no_format_of_hugging_face():
    with pytest.raises(ValueError, match="family 'interleaved' has no format of Hugging Face"):
        table_of("interleaved")


def test_patches_are_joined_as_they_were_cut():
    pixels = to_pixels(IMAGES)
    np.testing.assert_array_equal(joined(patches(pixels, 4), 4), pixels)
    np.testing.assert_array_equal(to_images(pixels), IMAGES)


def test_the_decoder_takes_ids_and_no_pictures():
    variables = interleaved.init(CONFIG, jax.random.key(0))
    places = np.arange(6, dtype=np.int32)[None]
    batch = {"tokens": places, "positions": places, "segments": np.zeros_like(places)}
    states, _ = interleaved.hidden(CONFIG, variables, batch)
    assert states.shape == (1, 6, 32)
    image = {"values": IMAGES[None, :1], "slots": np.zeros((1, 1), np.int32)}
    with pytest.raises(ValueError, match="Interleaved was given media of kind 'image'"):
        interleaved.hidden(CONFIG, variables, {**batch, "media": {"image": image}})
