"""Prompts and pictures in arrays can be read back; what does not match is refused."""

import numpy as np
import pytest

from mllm.data.images import Picture
from mllm.data.rows import lay_out, place_images

IMAGE, RUN = 3, 4


def draw(seed: int) -> tuple[list[list[int]], list[list[Picture]]]:
    """Rows with pictures of one to three tiles of any size; adjacent runs too."""
    rng = np.random.default_rng(seed)
    rows, pictures = [], []
    for _ in range(4):
        row, shown = rng.integers(10, 90, rng.integers(1, 5)).tolist(), []
        for _ in range(rng.integers(0, 3)):
            count, *size = rng.integers(1, 4), *rng.integers(1, 9, 2)
            tiles = rng.integers(0, 256, (count, *size, 3)).astype(np.uint8)
            shown.append(Picture(tiles, tuple((int(size[0]), int(size[1])) for _ in tiles)))
            for _ in tiles:
                row += [IMAGE] * RUN + rng.integers(10, 90, rng.integers(0, 2)).tolist()
        rows.append(row)
        pictures.append(shown)
    return rows, pictures


@pytest.mark.parametrize("patch", [1, 5])
@pytest.mark.parametrize("width", [None, 64])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_laid_out_can_be_read_back(seed, width, patch):
    rows, pictures = draw(seed)
    batch = lay_out(rows, pictures, image_id=IMAGE, image_tokens=RUN, width=width, patch=patch)
    assert batch["tokens"].shape[1] == (width or max(map(len, rows)))
    tiles = [[tile for picture in shown for tile in picture.tiles] for shown in pictures]
    image = batch.get("media", {"image": {}})["image"]
    for name, array in (batch | image).items():
        assert name == "media" or array.dtype == (np.uint8 if name == "values" else np.int32)
    assert bool(image) == any(pictures)
    for i, row in enumerate(rows):
        there = batch["segments"][i] == 0
        assert batch["tokens"][i][there].tolist() == row
        assert batch["positions"][i][there].tolist() == list(range(len(row)))
        assert set(batch["segments"][i][~there].tolist()) <= {-1}
        slots = image["slots"][i] if image else np.array([])
        runs = [row[slot : slot + RUN] for slot in slots if slot >= 0]
        assert runs == [[IMAGE] * RUN] * len(tiles[i])
        assert sorted(set(slots[: len(runs)].tolist())) == slots[: len(runs)].tolist()
        for j, tile in enumerate(tiles[i]):
            height, width_ = image["extents"][i, j]
            np.testing.assert_array_equal(image["values"][i, j, :height, :width_], tile)
            assert image["values"][i, j].sum() == tile.sum() and image["lengths"][i, j] == RUN
    assert not image or all(side % patch == 0 for side in image["values"].shape[2:4])


def test_text_alone_has_no_images():
    batch = lay_out([[5, 6], [7]], [[], []], image_id=None, image_tokens=0)
    assert set(batch) == {"tokens", "positions", "segments"}


def picture(tiles: int = 1) -> Picture:
    return Picture(np.zeros((tiles, 2, 2, 3), np.uint8), ((2, 2),) * tiles)


@pytest.mark.parametrize(
    ("row", "shown", "message"),
    [
        ([5, 3, 3, 3], [picture()], "row 0: 3 image tokens, expected runs of 4"),
        ([3, 3, 5, 3, 3], [picture()], "row 0: 4 image tokens, expected runs of 4"),
        ([3, 3, 3, 3], [], r"image tokens for \[1\] images .* but \[0\] images"),
        ([3, 3, 3, 3], [picture(2)], r"image tokens for \[1\] images .* but \[2\] images"),
        ([5], [picture()], r"image tokens for \[0\] images .* but \[1\] images"),
    ],
)
def test_what_does_not_match_is_refused_and_nothing_is_cut(row, shown, message):
    with pytest.raises(ValueError, match=message):
        lay_out([row], [shown], image_id=IMAGE, image_tokens=RUN)


def test_pixels_of_any_dtype_are_laid_out_in_the_order_of_their_tokens():
    tokens = np.array([[3, 3, 5, 0], [3, 3, 3, 3]])
    images = np.arange(3, dtype=np.float32)[:, None, None, None] * np.ones((3, 1, 1, 3), np.float32)
    extents = np.ones((3, 2), np.int32)
    laid = place_images(tokens, images, extents, None, IMAGE, 2)["image"]
    assert laid["values"][..., 0, 0, 0].tolist() == [[0, 0], [1, 2]]
    assert laid["slots"].tolist() == [[0, -1], [0, 2]]
    assert laid["lengths"].tolist() == [[2, 0], [2, 2]]
    with pytest.raises(ValueError, match=r"\[1, 2\] images in the rows, but 2 images"):
        place_images(tokens, images[:2], extents[:2], None, IMAGE, 2)
