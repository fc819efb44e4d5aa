"""Pictures in other forms, pixel by pixel."""

import io

import numpy as np
import pytest
from PIL import Image

from mllm.data.images import decode
from mllm.evaluation.stress.pictures import PICTURES


@pytest.fixture
def png():
    rows, columns = np.mgrid[0:20, 0:30]
    pixels = np.stack([8 * columns, 12 * rows, 4 * (rows + columns)], -1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def pixels(data):
    return np.asarray(decode(data), int)


def test_left_and_right_change_places(png):
    np.testing.assert_array_equal(pixels(PICTURES["mirrored"](png)), pixels(png)[:, ::-1])


def test_a_crop_shows_the_middle_in_the_same_size(png):
    found, wanted = pixels(PICTURES["cropped"](png)), pixels(png)
    assert found.shape == wanted.shape
    # A fifth less is seen of a ramp: the middle stays, and ends lose a tenth of the side.
    np.testing.assert_allclose(found[10, 15], wanted[10, 15], atol=8)
    np.testing.assert_allclose(found[10, 0, 0], wanted[10, 3, 0], atol=8)
    np.testing.assert_allclose(found[10, -1, 0], wanted[10, -4, 0], atol=8)


def test_a_small_file_shows_nearly_the_same(png):
    data = PICTURES["compressed"](png)
    assert Image.open(io.BytesIO(data)).format == "JPEG"
    assert 0 < abs(pixels(data) - pixels(png)).mean() < 12


def test_half_the_brightness(png):
    np.testing.assert_allclose(pixels(PICTURES["darkened"](png)), pixels(png) / 2, atol=1)
