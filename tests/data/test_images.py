"""Encoded bytes to pixels: the published processors of transformers are the truth."""

import io

import numpy as np
import odd_pictures
import pytest
from PIL import Image, ImageOps

from mllm.data.images import (
    MAX_PIXELS,
    TRANSFORMS,
    ImageConfig,
    as_png,
    decode,
    framed,
    make_picture,
)
from mllm.data.views import augment

SIZES = [(64, 48), (48, 64), (51, 37), (37, 51), (16, 16), (20, 16), (7, 5), (1, 1), (2, 1), (1, 9)]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 100_003 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def published(processor: str, image: Image.Image, **options) -> dict[str, np.ndarray]:
    """Arrays of a Pillow processor of transformers; pixels as u8[..., H, W, 3]."""
    transformers = pytest.importorskip("transformers")
    make = getattr(transformers, processor)(do_rescale=False, do_normalize=False, **options)
    arrays = {name: np.asarray(array) for name, array in make(image).items()}
    pixels = np.moveaxis(arrays["pixel_values"], -3, -1)
    assert (pixels == pixels.astype(np.uint8)).all()
    return arrays | {"pixel_values": pixels.astype(np.uint8)}


def square(size: int) -> dict:
    return dict(size={"shortest_edge": size}, crop_size={"height": size, "width": size})


def assert_tiles_equal(picture, expected: dict[str, np.ndarray]) -> None:
    """Pixels to the byte; the extents span what the pixel masks do."""
    np.testing.assert_array_equal(picture.tiles, expected["pixel_values"][0])
    mask = np.zeros(picture.tiles.shape[:3], int)
    for tile, (height, width) in zip(mask, picture.extents, strict=True):
        tile[:height, :width] = 1
    np.testing.assert_array_equal(mask, expected["pixel_attention_mask"][0])


@pytest.mark.parametrize("resample", ["bicubic", "bilinear", "lanczos", "nearest", "box"])
@pytest.mark.parametrize("size", SIZES)
def test_crops_equal_clip(size, resample):
    image = noise(*size)
    filters = {"resample": Image.Resampling[resample.upper()]}
    expected = published("CLIPImageProcessorPil", image, **square(16), **filters)
    picture = make_picture(image, ImageConfig(image_size=16, resample=resample))
    np.testing.assert_array_equal(picture.tiles, expected["pixel_values"])
    assert picture.extents == ((16, 16),) and picture.grid == (0, 0)


@pytest.mark.parametrize("short", [335, 336, 337, 338, 671, 672, 673, 674, 675])
@pytest.mark.parametrize("long", [676, 901])
def test_crops_equal_clip_around_multiples_of_the_real_size(short, long):
    for size in [(short, long), (long, short)]:
        image = noise(*size)
        expected = published("CLIPImageProcessorPil", image, **square(336))["pixel_values"]
        np.testing.assert_array_equal(
            make_picture(image, ImageConfig(image_size=336)).tiles, expected
        )


@pytest.mark.parametrize("size", [*SIZES, (335, 338), (674, 671), (641, 480), (300, 1)])
def test_padding_to_a_square_equals_llava(size):
    image = noise(*size)
    for side in (16, 17):
        expected = published("LlavaImageProcessorPil", image, do_pad=True, **square(side))
        picture = make_picture(image, ImageConfig(image_size=side, transform="pad_square"))
        np.testing.assert_array_equal(picture.tiles, expected["pixel_values"])
        assert picture.extents == ((side, side),) and picture.grid == (0, 0)


def test_the_square_is_that_of_llavas_own_code():
    """Pixel by pixel: centred, an odd pixel at the end; a square of the right size is kept."""
    for width in range(1, 8):
        for height in range(1, 8):
            image, side = noise(width, height), max(width, height)
            square = np.empty((side, side, 3), np.uint8)
            for y in range(side):
                for x in range(side):
                    at = x - (side - width) // 2, y - (side - height) // 2
                    inside = 0 <= at[0] < width and 0 <= at[1] < height
                    colour = [int(255 * mean) for mean in CLIP_MEAN]
                    square[y, x] = image.getpixel(at) if inside else colour
            config = ImageConfig(image_size=side, transform="pad_square")
            np.testing.assert_array_equal(make_picture(image, config).tiles[0], square)


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    ("size", "longest", "shortest"),
    [
        *[(size, 50, 20) for size in SIZES],
        ((100, 44), 50, 20),  # published 21 high: the aspect is rounded before it divides
        ((58, 100), 50, 20),
        ((500, 20), 50, 20),
        ((20, 501), 50, 20),
        ((1200, 901), 980, 378),
        ((378, 980), 980, 378),
        ((377, 981), 980, 378),
        ((20_000, 1), 980, 378),
        ((1, 20_000), 980, 378),
    ],
)
def test_pictures_equal_idefics2(size, longest, shortest, split):
    image = noise(*size)
    config = ImageConfig(
        transform="idefics2",
        resample="bilinear",
        longest_edge=longest,
        shortest_edge=shortest,
        split=split,
    )
    picture = make_picture(image, config)
    quarters = split and min(size) > 1  # the published code fails where a quarter is empty
    assert picture.grid == ((2, 2) if quarters else (0, 0))
    edges = {"longest_edge": longest, "shortest_edge": shortest}
    expected = published(
        "Idefics2ImageProcessorPil", image, size=edges, do_image_splitting=quarters
    )
    assert_tiles_equal(picture, expected)


@pytest.mark.parametrize("processor", ["Idefics3ImageProcessorPil", "SmolVLMImageProcessorPil"])
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(
    ("size", "longest", "side"),
    [
        *[(size, 40, 16) for size in SIZES],  # longest edge: no multiple, a multiple, odd, one tile
        ((40, 29), 40, 16),
        *[(size, 48, 16) for size in SIZES],
        *[(size, 33, 16) for size in SIZES],
        *[(size, 16, 16) for size in SIZES],
        *[(size, 9, 16) for size in SIZES],
        ((641, 480), 1456, 364),
        ((480, 641), 2048, 512),
        ((20_000, 1), 1456, 364),
        ((1, 20_000), 1456, 364),
        ((60, 1), 4400, 200),  # beyond the absolute maximum of 4096
        ((1, 60), 4400, 200),
    ],
)
def test_pictures_equal_idefics3(size, longest, side, split, processor):
    image = noise(*size)
    config = ImageConfig(
        image_size=side, transform="idefics3", resample="lanczos", longest_edge=longest, split=split
    )
    picture = make_picture(image, config)
    expected = published(
        processor,
        image,
        size={"longest_edge": longest},
        max_image_size={"longest_edge": side},
        do_image_splitting=split,
        return_row_col_info=True,
    )
    assert picture.grid == (expected["rows"][0][0], expected["cols"][0][0])
    assert_tiles_equal(picture, expected)


def test_any_size_is_taken_as_published():
    """Where rounding may differ by one: sizes drawn at random, small so that many are seen."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        width, height = rng.integers(2, 60, 2).tolist()
        side, longest, shortest = rng.integers([5, 12, 3], [12, 50, 12]).tolist()
        image, edges = noise(width, height), dict(longest_edge=longest, shortest_edge=shortest)
        picture = make_picture(image, ImageConfig(transform="idefics2", split=True, **edges))
        options = dict(size=edges, do_image_splitting=True, resample=Image.Resampling.BICUBIC)
        assert_tiles_equal(picture, published("Idefics2ImageProcessorPil", image, **options))
        config = ImageConfig(side, "idefics3", longest_edge=longest, split=True)
        options |= dict(size={"longest_edge": longest}, max_image_size={"longest_edge": side})
        expected = published("Idefics3ImageProcessorPil", image, **options)
        assert_tiles_equal(make_picture(image, config), expected)


def test_one_pixel_becomes_a_picture_of_its_colour():
    image = Image.new("RGB", (1, 1), (9, 80, 200))
    edges = dict(longest_edge=24, shortest_edge=12)
    for transform in ("crop", "pad_square", "idefics2", "idefics3"):
        for split in (False, True):
            tiles = make_picture(image, ImageConfig(12, transform, split=split, **edges)).tiles
            assert (tiles == (9, 80, 200)).all() and tiles.size


@pytest.mark.parametrize("transform", ["crop", "pad_square"])
@pytest.mark.parametrize("size", [(20_000, 1), (1, 20_000)])
def test_shapes_that_would_fill_the_memory_are_refused(transform, size):
    config = ImageConfig(image_size=336, transform=transform)
    with pytest.raises(ValueError, match=rf"line 3: {size[0]}x{size[1]} pixels .* shrink it"):
        make_picture(Image.new("RGB", size), config, "line 3")


def test_configs_and_pictures_say_what_is_wrong():
    with pytest.raises(ValueError, match="transform 'pad_sqare'; did you mean 'pad_square'"):
        ImageConfig(transform="pad_sqare")
    with pytest.raises(ValueError, match="unknown resample 'cubic'"):
        ImageConfig(resample="cubic")
    with pytest.raises(ValueError, match="unknown alpha 'black'"):
        ImageConfig(alpha="black")
    with pytest.raises(ValueError, match="'idefics3' needs longest_edge > 0, found 0"):
        ImageConfig(transform="idefics3")
    with pytest.raises(ValueError, match="page 2: mode 'RGBA', needs 'RGB'"):
        make_picture(Image.new("RGBA", (4, 4)), ImageConfig(), "page 2")


def palette(transparency=None) -> bytes:
    options = {} if transparency is None else {"transparency": transparency}
    return encoded(noise(9, 7).quantize(16), **options)


def with_alpha(mode: str) -> bytes:
    image = noise(9, 7).convert(mode)
    image.putalpha(noise(9, 7).convert("L"))
    return encoded(image)


ENCODED = {
    "black and white": encoded(noise(9, 7).convert("1")),
    "grey": encoded(noise(9, 7).convert("L")),
    "grey with alpha": with_alpha("L"),
    "palette": palette(),
    "palette with one clear colour": palette(3),
    "palette with alpha": palette(bytes(range(0, 256, 16))),
    "rgb": encoded(noise(9, 7)),
    "rgb with one clear colour": encoded(noise(9, 7), transparency=noise(9, 7).getpixel((0, 0))),
    "rgba": with_alpha("RGB"),
    "cmyk": encoded(noise(9, 7).convert("CMYK"), "JPEG"),
    "jpeg": encoded(noise(9, 7), "JPEG"),
    "gif": encoded(noise(9, 7), "GIF"),
    "webp": encoded(noise(9, 7).convert("RGBA"), "WEBP"),
    "animation": encoded(
        noise(9, 7), "GIF", save_all=True, append_images=[noise(9, 7).rotate(180)]
    ),
}


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("data", ENCODED.values(), ids=list(ENCODED))
def test_modes_become_rgb_as_pillow_and_transformers_convert_them(data):
    convert_to_rgb = pytest.importorskip("transformers.image_transforms").convert_to_rgb
    stored = Image.open(io.BytesIO(data))
    dropped, white = decode(data, alpha="drop"), decode(data)
    assert dropped.mode == white.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(dropped), np.asarray(stored.convert("RGB")))
    np.testing.assert_array_equal(np.asarray(white), convert_to_rgb(stored, return_numpy=True))


def test_transparency_is_laid_over_white_or_forgotten():
    clear = encoded(Image.new("RGBA", (2, 2), (10, 20, 30, 0)))
    assert decode(clear).getpixel((0, 0)) == (255, 255, 255)
    assert decode(clear, alpha="drop").getpixel((0, 0)) == (10, 20, 30)
    with pytest.raises(ValueError, match="unknown alpha 'blak'"):
        decode(clear, alpha="blak")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_of_grey_keep_the_upper_eight(kind):
    values = np.arange(0, 65536, 255, dtype=np.uint16)[:256].reshape(16, 16)
    grey = decode(encoded(Image.fromarray(values), kind))
    np.testing.assert_array_equal(np.asarray(grey), np.repeat(values[..., None] >> 8, 3, -1))


def test_values_without_a_range_are_refused():
    for values in (np.float32([[0.5]]), np.int32([[-1]]), np.int32([[70_000]])):
        with pytest.raises(ValueError, match=r"scan: cannot .* not of 8 or 16 bits"):
            decode(encoded(Image.fromarray(values), "TIFF"), "scan")


TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_pictures_stand_upright(orientation):
    image, exif = noise(9, 7), Image.Exif()
    exif[ImageOps.ExifTags.Base.Orientation] = orientation
    upright = np.asarray(decode(encoded(image, exif=exif)))
    np.testing.assert_array_equal(upright, TURNS[orientation](np.asarray(image)))


@pytest.mark.filterwarnings("ignore")  # of Pillow, about EXIF data
def test_damaged_exif_data_leaves_a_picture_as_it_is_or_turns_it():
    plain = np.asarray(Image.open(io.BytesIO(odd_pictures.encoded(odd_pictures.RGB, "JPEG"))))
    for name, (data, turned) in odd_pictures.EXIF.items():
        expected = TURNS[6](plain) if turned else plain
        np.testing.assert_array_equal(np.asarray(decode(data)), expected, err_msg=name)


@pytest.mark.filterwarnings("ignore")
def test_pictures_of_any_format_are_shown_alike_as_png():
    for name, data in odd_pictures.SHOWN.items():
        as_stored = as_png(data)
        assert Image.open(io.BytesIO(as_stored)).format == "PNG"
        for alpha in ("white", "drop"):
            np.testing.assert_array_equal(
                np.asarray(decode(as_stored, alpha=alpha)),
                np.asarray(decode(data, alpha=alpha)),
                err_msg=f"{name}, {alpha}",
            )
    for name, data in odd_pictures.REFUSED.items():
        for call in (as_png, decode):
            with pytest.raises(ValueError, match=r"^scan: cannot be decoded"):
                pytest.fail(f"{name}: {call(data, 'scan')}")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's, before it gives up
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_damaged_files_are_named(kind):
    whole = encoded(noise(60, 40), kind)
    assert decode(whole).size == (60, 40)
    for length in (0, 10, len(whole) // 2):
        with pytest.raises(ValueError, match=r"^portrait 7: cannot be decoded .*save it as PNG"):
            decode(whole[:length], "portrait 7")


@pytest.mark.parametrize(("width", "height"), [(8001, 8000), (60_000, 60_000), (MAX_PIXELS + 1, 1)])
def test_too_many_pixels_are_refused_by_the_header_alone(width, height):
    header = f"P6 {width} {height} 255\n".encode()  # no pixel follows
    with pytest.raises(ValueError, match=rf"^scan: .* pixels.* at most {MAX_PIXELS}") as refused:
        decode(header, "scan")
    assert "truncated" not in str(refused.value)


VIEWED = {
    "crop": dict(image_size=32),
    "pad_square": dict(image_size=32),
    "stretch": dict(image_size=32),
    "fit": dict(image_size=32),
    "idefics2": dict(longest_edge=48, shortest_edge=16),
    "idefics3": dict(image_size=32, longest_edge=64),
    "anyres": dict(image_size=32, cells=2),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("size", [(90, 60), (60, 90), (70, 70)])
def test_a_view_is_one_of_what_the_model_sees(transform, size):
    """The frame, scaled, is the tile itself; a smooth picture hides how pixels are interpolated."""
    config = ImageConfig(transform=transform, resample="bilinear", **VIEWED[transform])
    width, height = size
    across = np.linspace(0, 255, width)[None, :].repeat(height, axis=0)
    down = np.linspace(255, 0, height)[:, None].repeat(width, axis=1)
    image = Image.fromarray(np.stack([across, down, across[:, ::-1]], -1).astype(np.uint8))
    picture = make_picture(image, config)
    frame, seen = framed(image, config)
    assert (seen[1], seen[0]) == picture.extents[0]
    tile = picture.tiles[0, : seen[1], : seen[0]]
    assert tile.shape[:2] == picture.tiles.shape[1:3] or transform == "fit"
    scaled = np.asarray(frame.resize(seen, Image.Resampling.BILINEAR), np.float32)
    # Only at the border of a padded picture is there an edge, which falls between pixels.
    assert np.percentile(np.abs(scaled - tile), 95) <= 6
    assert augment(frame, seen, np.random.default_rng(0)).shape == tile.shape


@pytest.mark.parametrize("size", [(90, 60), (60, 90), (7, 7), (1200, 5), (3, 1200)])
def test_a_picture_that_is_fitted_keeps_its_shape_on_a_square(size):
    image = noise(*size)
    picture = make_picture(image, ImageConfig(transform="fit", image_size=32))
    width, height = (max(1, round(side * 32 / max(size))) for side in size)
    assert picture.tiles.shape == (1, 32, 32, 3) and picture.extents == ((height, width),)
    expected = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(picture.tiles[0, :height, :width], expected)
    assert not picture.tiles[0, height:].any() and not picture.tiles[0, :, width:].any()


def test_views_differ_by_draw_and_repeat_by_seed():
    image = noise(64, 64)
    view = lambda seed: augment(image, 32, np.random.default_rng(seed))  # noqa: E731
    assert view(0).shape == (32, 32, 3) and view(0).dtype == np.uint8
    np.testing.assert_array_equal(view(1), view(1))
    assert (view(1) != view(2)).any()
