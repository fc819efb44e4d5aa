"""A bank of encoders: canvases, padding, and the statistics that the small encoders begin with."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mllm.models.encoders import ENCODERS
from mllm.models.encoders.bank import Bank, BankConfig, EncoderConfig, fit, shown_cells
from mllm.models.encoders.colour import DARKEST, LEVELS, QUANTILES, ColourEncoder
from mllm.models.encoders.spectrum import ENERGIES, SpectrumConfig, SpectrumEncoder
from mllm.models.encoders.statistics import Real, StatisticsConfig, within

SIZE, CELL = 24, 8
EXTENT = 20, 13  # neither a whole number of cells
SHAPE = dict(image_size=SIZE, patch_size=CELL, width=8, layers=1, heads=2, mlp_width=8)
TOWERS = {"colour": StatisticsConfig(**SHAPE), "spectrum": SpectrumConfig(**SHAPE)}
MODULES = {"colour": ColourEncoder, "spectrum": SpectrumEncoder}


def picture(seed: int = 0, size: int = SIZE) -> np.ndarray:
    """A smooth picture with an edge and some noise, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    waves = [0.5 + 0.4 * np.sin(5 * x + 3 * n + 4 * y) for n in range(3)]
    noisy = np.stack(waves, axis=-1) + 0.3 * (x + y > 1)[..., None] + rng.normal(0, 0.05, (3,))
    return np.clip(noisy + rng.normal(0, 0.03, noisy.shape), 0, 1).astype(np.float32)


@partial(jax.jit, static_argnums=0)
def _measure(kind, pixels, extents):
    real = Real(within(extents, SIZE).astype(jnp.float32), extents.astype(jnp.float32))
    colours = tuple(pixels[..., n] for n in range(3))
    return MODULES[kind](TOWERS[kind]).measure(colours, real)


def measure(kind: str, pixels: np.ndarray, extent=(SIZE, SIZE)):
    """Statistics of the cells and of the whole of one picture."""
    cells, whole = _measure(kind, pixels[None], jnp.array([extent]))
    return np.asarray(cells[0]), np.asarray(whole[0])


def cells_of(plane: np.ndarray, extent=EXTENT):
    """The real values of each cell, row by row, then all of them."""
    parts = []
    for row in range(0, SIZE, CELL):
        for column in range(0, SIZE, CELL):
            part = plane[row : min(row + CELL, extent[0]), column : min(column + CELL, extent[1])]
            parts.append(part.ravel())
    return [*parts, plane[: extent[0], : extent[1]].ravel()]


def test_colours_are_what_loops_over_pixels_find():
    pixels = picture()
    cells, whole = measure("colour", pixels, EXTENT)
    red, green, blue = (pixels[..., n].astype(np.float64) for n in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    light = np.where(luma <= 0.04045, luma / 12.92, ((luma + 0.055) / 1.055) ** 2.4)
    stops = np.log2(light + DARKEST)
    most, least = pixels.max(-1), pixels.min(-1)
    colour = {n: cells_of(plane) for n, plane in zip("rgb", (red, green, blue), strict=True)}
    shown = [n for n, part in enumerate(colour["r"]) if part.size]
    assert len(shown) < 10  # one column of cells is padding
    for n in shown:
        found = cells[n] if n < 9 else whole
        for column, (plane, bend, size) in enumerate(
            [(red, 0.5, 4), (green, 0.5, 4), (blue, 0.5, 4), (luma, 0.5, 4), (stops, -3, 0.5)]
        ):
            part = cells_of(plane)[n]
            assert found[column] == pytest.approx((part.mean() - bend) * size, abs=1e-3)
            spread = np.log2(np.sqrt(part.var() + 1e-6)) + (0 if column == 4 else 3)
            assert found[15 + column] == pytest.approx(spread, abs=1e-2)
        saturation = cells_of((most - least) / np.maximum(most, 1 / 255))[n].mean()
        assert found[7] == pytest.approx((saturation - 0.3) * 3, abs=1e-4)
        assert found[13] == pytest.approx(3 * cells_of(most >= 249.5 / 255)[n].mean(), abs=1e-5)
        means = [np.log2(colour[c][n].mean() + 0.02) for c in "rgb"]
        wanted = 2 * np.array([means[0] - means[1], means[2] - means[1]])
        np.testing.assert_allclose(found[22:24], wanted, atol=1e-4)
        near = np.maximum(1 - np.abs(cells_of(luma)[n][:, None] * 15 - np.arange(LEVELS)), 0)
        shares = 2 * np.sqrt(near.mean(0) + 1e-4)
        np.testing.assert_allclose(found[25 : 25 + LEVELS], shares, atol=1e-4)
    np.testing.assert_allclose(
        whole[41:48] / 4 + 0.5, np.quantile(cells_of(luma)[-1], QUANTILES), atol=1 / LEVELS
    )
    bright = cells_of(luma)[-1] ** 4
    casts = [np.log2((colour[c][-1] * bright).sum() / bright.sum() + 0.02) for c in "rgb"]
    np.testing.assert_allclose(whole[48], 2 * (casts[0] - casts[1]), atol=1e-3)
    y, x = (np.arange(n) * 2 / n + 1 / n - 1 for n in EXTENT)
    y, x = np.broadcast_arrays(y[:, None], x[None, :])
    logs = stops[: EXTENT[0], : EXTENT[1]]
    for axis, found in zip((x, y, x**2 + y**2), whole[54:57], strict=True):
        assert found == pytest.approx(
            np.cov(axis.ravel(), logs.ravel(), ddof=0)[0, 1] / axis.var(), abs=1e-3
        )
    np.testing.assert_allclose(whole[57:59], np.log2(np.array(EXTENT) / SIZE), atol=1e-6)


def test_edges_are_what_scipy_finds():
    """Level 0 of the pyramid and the statistics of the pixels, against filters of scipy."""
    pixels = picture()
    cells, whole = measure("spectrum", pixels, EXTENT)
    cut = pixels[: EXTENT[0], : EXTENT[1]].astype(np.float64)
    luma = cut @ [0.299, 0.587, 0.114]
    padded = np.pad(luma, 1, mode="edge")

    def averages(plane):
        whole_plane = np.zeros((SIZE, SIZE))
        whole_plane[: EXTENT[0], : EXTENT[1]] = plane
        return [part.mean() if part.size else np.nan for part in cells_of(whole_plane)]

    def check(column, wanted, tolerance=2e-3):
        shown = ~np.isnan(wanted)
        found = np.append(cells[:, column], whole[column])
        np.testing.assert_allclose(found[shown], np.asarray(wanted)[shown], atol=tolerance)

    for column, (down, right) in enumerate([(0, 1), (1, 1), (1, 0), (1, -1)]):
        moved = padded[1 + down :, 1 + right :][: EXTENT[0], : EXTENT[1]]
        check(column, np.log10(np.array(averages((moved - luma) ** 2)) + 1e-6) + 2.5)
    kernel = np.outer([1, -2, 1], [1, -2, 1]) / 6
    noise = ndimage.convolve(luma, kernel, mode="nearest")
    energy = np.array(averages(noise**2))
    check(4, np.log10(energy + 1e-6) + 4)
    mean = np.array(averages(np.abs(noise)))
    check(ENERGIES, (mean / np.sqrt(energy + 1e-6) - 0.6) * 4, 1e-2)
    dx, dy = (ndimage.correlate1d(luma, [-0.5, 0, 0.5], axis, mode="nearest") for axis in (1, 0))
    size, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    total = np.array(averages(size)) + 1e-3
    for turn in range(4):
        for part, function in enumerate((np.cos, np.sin)):
            wanted = np.array(averages(size * function((2 * turn + 2) * angle))) / total * 3
            check(ENERGIES + 1 + 2 * turn + part, wanted, 1e-2)
    half = ndimage.zoom(luma[:, :12], 1, order=0).reshape(10, 2, 6, 2).mean((1, 3))
    detail = (luma[:8, :8] ** 2).mean() - (half[:4, :4] ** 2).mean()
    assert cells[0, 15] == pytest.approx(np.log10(detail + 1e-6) + 3, abs=1e-2)
    fringe = ndimage.convolve(cut[..., 2] - cut[..., 1], kernel, mode="nearest")
    check(18, np.log10(np.array(averages(fringe**2)) + 1e-6) + 4.5)
    assert whole.shape == (cells.shape[1] + 2 + 2 * ENERGIES,)
    shown = [0, 1, 3, 4, 6, 7]
    np.testing.assert_allclose(whole[-2 * ENERGIES :][:ENERGIES], cells[shown, :ENERGIES].min(0))
    np.testing.assert_allclose(whole[-ENERGIES:], cells[shown, :ENERGIES].max(0))


def test_statistics_tell_what_an_edit_did():
    """Each edit moves the statistic that is meant to show it, the right way."""
    sharp = np.clip(picture(3), 0.1, 0.9)
    rng = np.random.default_rng(0)
    whole = measure("colour", sharp)[1]
    darker = measure("colour", np.clip(sharp, 0, 1) * 0.5)[1]
    assert darker[4] < whole[4] - 0.5 and darker[3] < whole[3]
    warm = measure("colour", np.clip(sharp * [1.2, 1, 0.7], 0, 1).astype(np.float32))[1]
    assert warm[22] > whole[22] and warm[23] < whole[23] - 0.5
    grey = measure("colour", np.repeat(sharp.mean(-1, keepdims=True), 3, -1))[1]
    assert grey[7] < whole[7] and grey[8] == pytest.approx(-0.8, abs=1e-5)
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE / 2) - 1
    falloff = (1 - 0.35 * (x**2 + y**2))[..., None].astype(np.float32)
    assert measure("colour", sharp * falloff)[1][56] < whole[56] - 0.2

    edges = measure("spectrum", sharp)[1]
    blurred = measure("spectrum", ndimage.gaussian_filter(sharp, (1, 1, 0)))[1]
    assert (blurred[[0, 2, 4]] < edges[[0, 2, 4]] - 0.2).all()
    sand = rng.random((SIZE, SIZE, 1), np.float32) * np.ones(3, np.float32)
    still = measure("spectrum", sand)[1]
    moving = measure("spectrum", ndimage.uniform_filter(sand, (1, 5, 1)))[1]
    assert moving[0] - still[0] < moving[2] - still[2] - 0.4
    noisy = measure("spectrum", np.clip(sharp + rng.normal(0, 0.1, sharp.shape), 0, 1))[1]
    assert noisy[4] > edges[4] + 0.5 and noisy[-2 * ENERGIES + 4] > edges[-2 * ENERGIES + 4] + 0.5


@pytest.mark.parametrize(("axis", "column"), [(1, -6), (0, -5)])
def test_a_shift_of_a_colour_is_measured_in_pixels(axis, column):
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).random((SIZE, SIZE)), 2)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    moved = ndimage.shift(smooth, np.eye(2)[axis] * -0.3, order=3, mode="nearest")
    pixels = np.stack([moved, smooth, smooth], axis=-1).astype(np.float32)
    whole = measure("spectrum", pixels)[1][: -2 * ENERGIES]
    assert whole[column] == pytest.approx(0.3, abs=0.06)
    others = [n for n in (-6, -5, -4, -3) if n != column]
    np.testing.assert_allclose(whole[others], 0, atol=0.06)


def test_the_direction_of_lines_turns_with_them():
    y, x = np.mgrid[:SIZE, :SIZE]
    for degrees in (0, 5, -12, 60):
        angle = np.deg2rad(degrees)
        lines = 0.5 + 0.4 * np.sin((x * np.sin(angle) - y * np.cos(angle)) * 0.8)
        pixels = np.repeat(lines[..., None], 3, -1).astype(np.float32)
        cos, sin = measure("spectrum", pixels)[1][ENERGIES + 1 : ENERGIES + 3]
        # Gradients are upright to lines; twice the angle is measured.
        found = np.rad2deg(np.arctan2(sin, cos)) / 2 + 90
        assert (found - degrees + 90) % 180 - 90 == pytest.approx(0, abs=3)


def test_a_picture_is_resized_as_if_it_stood_alone():
    whole = np.random.default_rng(1).random((1, 32, 32, 3), np.float32)
    extent = 20, 28
    found, sizes = fit(jnp.asarray(whole), jnp.array([extent]), 16)
    assert sizes.tolist() == [[10, 14]]
    cut = Image.fromarray
    for channel in range(3):
        image = cut(whole[0, : extent[0], : extent[1], channel], mode="F")
        alone = np.clip(image.resize((14, 10), Image.Resampling.BICUBIC), 0, 1)
        np.testing.assert_allclose(found[0, :10, :14, channel], alone, atol=1e-4)
    same, kept = fit(jnp.asarray(whole), jnp.array([extent]), 32)
    assert (same == whole).all() and kept.tolist() == [list(extent)]


def test_cells_are_shown_if_any_pixel_is():
    found = np.asarray(shown_cells(jnp.array([[17, 8], [1, 24]]), 24, 3)).reshape(2, 3, 3)
    np.testing.assert_array_equal(found[0], [[1, 0, 0], [1, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(found[1], [[1, 1, 1], [0, 0, 0], [0, 0, 0]])


@pytest.fixture(scope="module")
def bank():
    patches = dict(SHAPE, image_size=16, class_token=False, drop_first=False)
    towers = {
        "colour": TOWERS["colour"],
        "spectrum": TOWERS["spectrum"],
        "vit": ENCODERS["vit"].config(**patches),
    }
    encoders = tuple(EncoderConfig(f"own_{kind}", kind, t) for kind, t in towers.items())
    config = BankConfig(SIZE, encoders)
    canvas = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)
    extents = np.array([EXTENT, (SIZE, SIZE), (9, 24)], np.int32)
    params = jax.jit(Bank(config).init)(jax.random.key(0), canvas, extents)
    return config, jax.jit(partial(Bank(config).apply, params)), canvas, extents


def test_what_lies_in_the_padding_does_not_matter(bank):
    config, look, canvas, extents = bank
    features = look(canvas, extents)
    assert features.shape == (3, config.features)
    other = canvas.copy()
    for number, (height, width) in enumerate(extents):
        other[number, height:], other[number, :, width:] = 255, 7
    np.testing.assert_array_equal(look(other, extents), features)


def test_features_are_of_each_picture_by_itself_and_0_where_none_is(bank):
    config, look, canvas, extents = bank
    features = look(canvas, extents)
    for number in range(3):
        turned = np.roll(canvas, number + 1, axis=0), np.roll(extents, number + 1, axis=0)
        np.testing.assert_allclose(look(*turned)[number], features[-1], atol=1e-5)
    parted = config.parted(features)
    assert {n: x.shape for n, x in parted.items()} == {
        "own_colour": (3, 9, 8),
        "own_spectrum": (3, 9, 8),
        "own_vit": (3, 4, 8),
    }
    for name, tokens in parted.items():
        grid = round(tokens.shape[1] ** 0.5)
        side = 16 if name == "own_vit" else SIZE
        scaled = np.round(extents * side / SIZE).astype(int)
        shown = np.asarray(shown_cells(jnp.asarray(scaled), side, grid))
        np.testing.assert_array_equal(np.any(tokens != 0, axis=-1), shown)
    floats = look(canvas.astype(np.float32) / 255, extents)
    np.testing.assert_allclose(floats, features, atol=1e-5)
