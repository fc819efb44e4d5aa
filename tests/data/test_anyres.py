"""Canvases, pixels and places of tokens of LLaVA-NeXT, against transformers' own functions."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import LlavaNextImageProcessorPil
from transformers.image_processing_utils import get_patch_output_size, select_best_resolution
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel

from mllm.data import anyres
from mllm.data.images import ImageConfig, make_picture, offsets_of
from mllm.data.processor import ProcessorConfig

SIDE, CELLS = 28, 4
GRIDS = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))
PIXELS = [[rows * SIDE, columns * SIDE] for rows, columns in GRIDS]
CONFIG = ImageConfig(SIDE, "anyres", split=True, grids=GRIDS, cells=CELLS)
# (height, width): portrait, landscape, panorama, tower, tiny, square, and ties between canvases.
SIZES = [(61, 29), (37, 50), (9, 200), (200, 9), (1, 1), (1, 2), (3, 3), (28, 28), (56, 56)]
SIZES += [(1, 300), (300, 1), (84, 28), (28, 85), (57, 55), (300, 301), (7, 21), (21, 7), (20, 84)]
SIZES += np.random.default_rng(0).integers(1, 120, (60, 2)).tolist()


def stitched(size, tiles: int) -> list[int]:
    """Which token of which tile stands where, by transformers' own packing: tile * N + token."""
    height = CELLS**2 + CELLS
    tokens = (torch.arange(tiles)[:, None] * height + torch.arange(CELLS**2))[..., None].double()
    config = SimpleNamespace(
        vision_config=SimpleNamespace(image_size=SIDE, patch_size=SIDE // CELLS),
        image_grid_pinpoints=PIXELS,
    )
    pack = LlavaNextModel.pack_image_features
    ends = torch.tensor([-1.0], dtype=torch.double)
    (found,), _ = pack(SimpleNamespace(config=config), [tokens], [size], "default", ends)
    return found[:, 0].long().tolist()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_canvas_and_places_are_those_of_transformers(size):
    size = tuple(map(int, size))
    height, width = select_best_resolution(size, PIXELS)
    grid = anyres.best_grid(size, GRIDS, SIDE)
    assert grid == (height // SIDE, width // SIDE)
    image = np.zeros((3, *size))
    assert anyres.fitted(size, (height, width)) == get_patch_output_size(
        image, (height, width), "channels_first"
    )
    offsets = offsets_of(size[::-1], CONFIG)
    count, places = CELLS**2, np.argsort(offsets.ravel())[(offsets < 0).sum() :]
    assert np.array_equal(np.sort(offsets[offsets >= 0]), np.arange(len(places)))
    token = places % (count + CELLS)
    expected = np.array(stitched(size, len(offsets)))
    np.testing.assert_array_equal(np.where(token < count, places, -1), expected)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pixels_are_those_of_transformers(size):
    height, width = map(int, size)
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(pixels)
    theirs = LlavaNextImageProcessorPil(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_grid_pinpoints=PIXELS,
        do_normalize=False,
        do_rescale=False,
    )
    found = make_picture(image, CONFIG)
    expected = np.moveaxis(theirs(image, return_tensors="np")["pixel_values"][0], 1, -1)
    np.testing.assert_array_equal(found.tiles, expected)
    assert found.extents == ((SIDE, SIDE),) * len(found.tiles) and found.grid == (0, 0)
    assert len(found.offsets) == len(found.tiles)


def test_an_unsplit_picture_is_one_tile_and_one_end():
    config = ImageConfig(SIDE, "anyres", cells=CELLS)
    image = Image.new("RGB", (100, 30), "red")
    found = make_picture(image, config)
    assert found.tiles.shape == (1, SIDE, SIDE, 3)
    assert found.offsets.tolist() == [[*range(CELLS**2 + 1), -1, -1, -1]]


def test_of_the_default_canvases_the_longest_run_is_that_of_the_publication():
    """Full canvases of 336 pixels have 1752, 1776, 2328, 2376 and 2928 tokens."""
    grids = anyres.grids_of(anyres.PINPOINTS, 336)
    assert grids == GRIDS
    config = ImageConfig(336, "anyres", split=True, grids=grids, cells=24)
    sizes = [(672, 336), (336, 672), (672, 672), (336, 1008), (1008, 336)]
    counts = {offsets_of(size, config).max() + 1 for size in sizes}
    assert counts == {1752, 1776, 2328, 2376, 2928}


def test_a_blank_has_the_shapes_of_a_picture():
    offsets = offsets_of((50, 37), CONFIG)
    blank = anyres.blank(int(offsets.max()) + 1, len(offsets), CELLS)
    assert blank.shape == offsets.shape and blank.max() == offsets.max()


@pytest.mark.parametrize(
    "pinpoints", [None, [], [[28]], [[28, 57]], [[0, 28]], [28, 56], [["28", 28]], [[28, 28.0]]]
)
def test_pinpoints_that_are_no_canvases_are_refused(pinpoints):
    with pytest.raises(ValueError, match=r"a list of \[height, width\] in .* of 28"):
        anyres.grids_of(pinpoints, SIDE)


def test_a_configuration_that_does_not_fit_is_named():
    for grids in ((), ((1,),), ((0, 2),)):
        with pytest.raises(ValueError, match="needs grids to split: pairs"):
            ImageConfig(SIDE, "anyres", split=True, grids=grids, cells=CELLS)
    with pytest.raises(ValueError, match=r"needs cells > 0"):
        ImageConfig(SIDE, "anyres", grids=GRIDS)
    with pytest.raises(ValueError, match=r"image_tokens is 16, expected 20: a tile has 4 tokens"):
        ProcessorConfig(SIDE, "anyres", grids=GRIDS, cells=CELLS, image_tokens=16)


def test_published_inputs_that_do_not_fit_are_named():
    vision = SimpleNamespace(image_size=SIDE)
    config = SimpleNamespace(grids=GRIDS, cells=CELLS, vision=vision)
    pixels = np.zeros((2, 3, 3, SIDE, SIDE), np.float32)
    with pytest.raises(ValueError, match=r"expected \[N, P, 3, H, W\], found shape \(3, 3"):
        anyres.published_tiles(pixels[0], [[1, 1]], config)
    with pytest.raises(ValueError, match=r"image_sizes: .* of 2 pictures, found none"):
        anyres.published_tiles(pixels, None, config)
    with pytest.raises(ValueError, match=r"expected 5 tiles of picture 1, which is 57 wide and 55"):
        anyres.published_tiles(pixels, [[28, 56], [55, 57]], config)
    tiles, offsets = anyres.published_tiles(pixels, [[28, 56], [28, 56]], config)
    assert tiles.shape == (6, 3, SIDE, SIDE) and [len(o) for o in offsets] == [3, 3]
