"""Heat over a picture lies where the weights are."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mllm.reporting.overlay import overlay
from mllm.reporting.pictures import thumbnail


def encoded(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (90, 90, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)), float)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 3), (2, 1)])
def test_the_brightest_place_is_the_cell_of_the_largest_weight(row, column):
    weights = np.full((4, 4), 0.1)
    weights[row, column] = 1.0
    found = decoded(overlay(encoded(80, 60), weights, 160))
    assert found.shape == (120, 160, 3)  # the last row of the grid lies beside the picture
    y, x = np.unravel_index(found.sum(-1).argmax(), found.shape[:2])
    assert (y // 40, x // 40) == (row, column)


def test_weights_beside_the_picture_are_cut_off():
    weights = np.ones((4, 4))
    weights[:, 2:] = 50.0
    tall = overlay(encoded(40, 80), weights, 80)
    assert decoded(tall).shape == (80, 40, 3)
    plain = decoded(overlay(encoded(40, 80), np.ones((4, 4)), 80))
    assert np.abs(decoded(tall)[:, :20] - plain[:, :20]).max() > 20  # its own scale begins beyond
    narrow = np.where(np.arange(4) < 2, 1.0, 0.0)[None].repeat(4, 0)
    assert np.abs(decoded(overlay(encoded(40, 80), narrow, 80))[:, :25] - plain[:, :25]).max() < 12


def test_what_cannot_be_drawn_is_left_out():
    assert overlay(b"<svg onload=alert(1)>", np.ones((2, 2)), 64) is None
    assert overlay(None, np.ones((2, 2)), 64) is None
    assert overlay(encoded(8, 8), np.zeros((2, 2)), 64) is None


def test_small_pictures_are_enlarged_where_asked():
    assert decoded(thumbnail(encoded(30, 20), 90)).shape == (20, 30, 3)
    assert decoded(thumbnail(encoded(30, 20), 90, enlarge=True)).shape == (60, 90, 3)
    assert decoded(thumbnail(encoded(300, 20), 90, enlarge=True)).shape == (6, 90, 3)
