"""Pictures to codes and back, by a loaded model."""

import io
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image
from small_codec import CODEC
from toy import make_model, make_processor, png

from mllm.checkpoints.folder import Loaded
from mllm.data.conversation import Media
from mllm.evaluation.codec import Codec
from mllm.models import interleaved
from mllm.models.decoder import DecoderConfig
from mllm.models.interleaved import InterleavedConfig

CONFIG = InterleavedConfig(
    CODEC,
    DecoderConfig(300, 32, layers=1, heads=2, kv_heads=2, head_dim=16, mlp_width=48),
)
COLORS = ("red", "green", "blue", "white", "black")


@pytest.fixture(scope="module")
def loaded():
    variables = interleaved.init(CONFIG, jax.random.key(0))
    return Loaded("interleaved", CONFIG, variables, make_processor())


def pictures(count: int):
    rng = np.random.default_rng(0)
    return [png(Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8))) for _ in range(count)]


def test_codes_are_those_of_the_family_whatever_is_asked_together(loaded):
    media = pictures(20)
    together = Codec(loaded).encode([*media, media[0]])
    assert together.shape == (21, 4) and together.dtype == np.int32
    images = np.stack([loaded.processor.prepare(medium).tiles[0] for medium in media])
    expected = interleaved.encode_pictures(CONFIG, loaded.variables, images)
    np.testing.assert_array_equal(together[:20], expected)
    np.testing.assert_array_equal(together[20], together[0])
    one_by_one = [Codec(loaded).encode([medium])[0] for medium in media[:3]]
    np.testing.assert_array_equal(one_by_one, together[:3])
    assert Codec(loaded).encode([]).shape == (0, 4)


def test_drawings_are_those_of_the_family_and_the_same_bytes_every_time(loaded):
    codec, codes = Codec(loaded), np.random.default_rng(1).integers(0, 24, (18, 4))
    drawn = codec.decode(codes)
    expected = np.asarray(interleaved.draw_pictures(CONFIG, loaded.variables, codes))
    for data, pixels in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    assert codec.decode(codes[5:7]) == drawn[5:7] == Codec(loaded).decode(codes[5:7])
    assert codec.encode([Media("image", drawn[0])]).shape == (1, 4)


def test_what_cannot_be_coded_is_named(loaded):
    codec = Codec(loaded)
    with pytest.raises(
        ValueError, match=r"picture 1: expected 4 codes from 0 to 23, found \[0, 24"
    ):
        codec.decode([[0, 1, 2, 3], [0, 24, 0, 0]])
    with pytest.raises(ValueError, match="picture 0: expected 4 codes"):
        codec.decode([[0, 1]])
    with pytest.raises(ValueError, match="image 0: a medium of kind 'codes', expected an image"):
        codec.encode([Media("codes", b"")])
    other = replace(loaded.processor.config, image_size=24)
    other = replace(loaded, processor=replace(loaded.processor, config=other))
    with pytest.raises(ValueError, match=r"set processor\.image_size to codec\.image_size"):
        Codec(other).encode(pictures(1))
    with pytest.raises(ValueError, match="family 'llava' writes text only"):
        Codec(make_model())
