"""Each operation against an independent computation: closed forms, SciPy, Pillow."""

import numpy as np
import pytest
from scipy import ndimage, signal

from mllm.benchmarks.photo.draw.canvas import (
    blurred,
    curve,
    generator,
    noise,
    to_encoded,
    to_linear,
)
from mllm.benchmarks.photo.frame import Frame, luminance
from mllm.benchmarks.photo.operations import OPERATIONS, STAGES
from mllm.benchmarks.photo.operations.air import haze, intrude
from mllm.benchmarks.photo.operations.colours import (
    balance,
    grade,
    kelvin_gains,
    manipulate,
    saturate,
    selective,
    tone_in,
)
from mllm.benchmarks.photo.operations.darkroom import degrade, dodge, enhance, retouch
from mllm.benchmarks.photo.operations.lens import (
    distort,
    fringe,
    keystone,
    mirror,
    tilt,
    vignette,
)
from mllm.benchmarks.photo.operations.lighting import gels, one_sided
from mllm.benchmarks.photo.operations.sharpness import (
    add_noise,
    defocus,
    focus,
    line,
    move,
    zoom_blur,
)
from mllm.benchmarks.photo.operations.tone import contrast, expose, levels, shadows


@pytest.fixture
def frame():
    """Smooth random light with a subject in the middle and depth from left to right."""
    rng = np.random.default_rng(5)
    light = ndimage.gaussian_filter(rng.random((48, 64, 3)), (2, 2, 0))
    light = ((light - light.min()) / np.ptp(light)).astype(np.float32)
    subject = np.zeros((48, 64), np.float32)
    subject[16:32, 24:40] = 1
    depth = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32), (48, 64)).copy()
    return Frame(light, subject, depth)


def test_srgb_is_that_of_the_standard():
    # Values of IEC 61966-2-1: 0.5 encoded is 0.21404 linear; 10/255 lies on the straight part.
    encoded = np.array([0, 10 / 255, 0.5, 1])
    assert to_linear(encoded) == pytest.approx([0, 10 / 255 / 12.92, 0.21404, 1], abs=1e-5)
    assert to_encoded(to_linear(encoded)) == pytest.approx(encoded, abs=1e-5)
    assert to_encoded(np.array([-1.0, 2.0])) == pytest.approx([0, 1])


def test_exposure_multiplies_linear_light(frame):
    assert expose(frame, ev=-2.0).light == pytest.approx(frame.light / 4, abs=1e-6)
    assert to_encoded(expose(frame, ev=9).light).max() == pytest.approx(1)


def test_tone_curves_have_their_closed_forms(frame):
    light = frame.light
    assert contrast(frame, slope=2.0).light == pytest.approx(
        np.clip(2 * light - 0.45, 0, 1), abs=1e-6
    )
    made = levels(frame, black=0.25, white=0.75).light
    assert made == pytest.approx(np.clip(2 * light - 0.5, 0, 1), abs=1e-6)
    assert ((made == 0) == (light <= 0.25)).all()
    lifted = shadows(frame, lift=0.3, tint=[0, 0, 0.1]).light
    bright = luminance(light) > 0.62
    assert lifted[bright] == pytest.approx(light[bright])
    black = Frame(np.zeros((2, 2, 3), np.float32))
    found = shadows(black, lift=0.3, tint=[0, 0, 0.1]).light[0, 0]
    assert found == pytest.approx([0.3, 0.3, 0.4])


def test_a_lower_kelvin_setting_is_bluer_and_keeps_the_luminance_of_grey():
    gains = [kelvin_gains(kelvin) for kelvin in (2000, 3000, 5500, 9000, 20000)]
    ratios = [gain[0] / gain[2] for gain in gains]
    assert ratios == sorted(ratios) and gains[2] == [1, 1, 1]
    for gain in gains:
        assert np.dot(gain, [0.2126, 0.7152, 0.0722]) == pytest.approx(1, abs=1e-3)
    # Planck's law at 2856 K against an endless temperature, whose light goes as the fourth power.
    red, _, blue = kelvin_gains(1e12, daylight=2856)
    cool = np.expm1(1.4388e7 / (450 * 2856)) / np.expm1(1.4388e7 / (600 * 2856))
    assert red / blue == pytest.approx(cool * (450 / 600), rel=1e-2)


def test_colour_operations_have_their_closed_forms(frame):
    light, luma = frame.light, (frame.light @ [0.2126, 0.7152, 0.0722])[..., None]
    assert balance(frame, gains=[2, 1, 0.5]).light == pytest.approx(light * [2, 1, 0.5])
    assert saturate(frame, factor=0).light == pytest.approx(np.repeat(luma, 3, 2), abs=1e-5)
    assert saturate(frame, factor=1).light == pytest.approx(light, abs=1e-5)
    toned = tone_in(frame, tint=[0.1, 0, -0.1]).light
    assert toned[..., 1] == pytest.approx(luma[..., 0], abs=1e-5)
    assert (toned[..., 0] >= toned[..., 2]).all()
    graded = grade(frame, shadows=[0.1, 0, 0], highlights=[0, 0, 0.1]).light - light
    dark, bright = luma[..., 0] < 0.15, luma[..., 0] > 0.75
    assert graded[dark] == pytest.approx(np.tile([0.1, 0, 0], (dark.sum(), 1)), abs=1e-5)
    assert (graded[bright][:, 0] == pytest.approx(0, abs=1e-6)) and bright.any()
    inside = selective(frame, inside=1, outside=0).light
    there = frame.subject == 1
    assert inside[there] == pytest.approx(light[there], abs=1e-5)
    assert np.ptp(inside[~there], axis=1).max() < 1e-5
    twice = manipulate(manipulate(frame, way="inverted"), way="inverted").light
    assert twice == pytest.approx(light, abs=1e-6)
    assert set(np.unique(manipulate(frame, way="posterised").light)) <= {0, 0.5, 1}


def test_motion_blur_is_a_convolution_with_a_line(frame):
    kernel = line(9.0, 0)
    assert kernel.sum() == pytest.approx(1) and (kernel.sum(1) > 0.01).sum() == 1
    assert line(9.0, 90) == pytest.approx(kernel.T, abs=1e-6)
    assert line(9.0, -45) == pytest.approx(line(9.0, 45)[::-1], abs=1e-6)
    for angle in (0, 45, 90):
        moved = move(frame, length=9 / 64 * 1000, angle=angle).light
        padded = np.pad(frame.light, ((9, 9), (9, 9), (0, 0)), mode="edge")
        full = signal.fftconvolve(padded, line(9.0, angle)[..., None], "same", axes=(0, 1))
        assert moved == pytest.approx(full[9:-9, 9:-9], abs=1e-5)
    assert move(frame, length=0, angle=0) is frame


def test_defocus_and_depth_of_field_are_gaussian(frame):
    expected = ndimage.gaussian_filter(frame.light, (3, 3, 0), mode="nearest")
    assert defocus(frame, radius=3 / 64 * 1000).light == pytest.approx(expected, abs=2e-2)
    shallow = focus(frame, plane=0.0, aperture=3 / 64 * 1000).light
    assert shallow[:, 0] == pytest.approx(frame.light[:, 0], abs=1e-6)
    assert shallow[:, -1] == pytest.approx(blurred(frame.light, 3)[:, -1], abs=1e-6)
    away = np.abs(shallow - frame.light).mean((0, 2))
    assert away[-16:].mean() > 3 * away[:16].mean()
    assert focus(frame, plane=0.0, aperture=0) is frame


def test_zoom_blur_leaves_the_middle(frame):
    change = np.abs(zoom_blur(frame, strength=0.3).light - frame.light).mean(2)
    assert change[22:26, 30:34].max() < 0.3 * change.max()


def test_noise_has_the_variance_of_photons_and_reading():
    grey = Frame(np.full((200, 200, 3), 0.25, np.float32))
    for iso in (100, 6400):
        noisy = add_noise(grey, iso=iso, seed=1).light - 0.25
        gain = iso / 100 * 6.4e-5
        assert noisy.std() == pytest.approx(np.sqrt(0.35 * gain), rel=0.05)
        assert noisy[..., 0].ravel() @ noisy[..., 1].ravel() / noisy.var() / 40_000 == (
            pytest.approx(0.64, abs=0.05)
        )
    again = add_noise(grey, iso=100, seed=1).light
    assert (again == add_noise(grey, iso=100, seed=1).light).all()
    assert (again != add_noise(grey, iso=100, seed=2).light).any()


def test_a_tilted_horizon_has_the_angle_of_the_record():
    step = Frame(np.zeros((120, 180, 3), np.float32))
    step.light[60:] = 1
    for degrees in (-12.0, 5.0):
        turned = tilt(step, degrees=degrees, zoom=1.3).light[..., 0]
        edge = (1 - turned).sum(0)[30:150]
        slope = np.polyfit(np.arange(120), edge, 1)[0]
        assert np.degrees(np.arctan(-slope)) == pytest.approx(degrees, abs=0.4)


def test_keystone_is_a_homography():
    x = np.linspace(0, 1, 120, dtype=np.float32)
    ramp = Frame(np.repeat(np.broadcast_to(x, (90, 120))[..., None], 3, 2))
    tipped = keystone(ramp, vertical=0.6, horizontal=0.0).light[..., 0]
    # Upright lines stay straight and converge towards the top.
    fits = []
    for value in (0.4, 0.6):
        edge = [np.interp(value, row, np.arange(120)) for row in tipped.astype(np.float64)]
        fits.append(np.polyfit(np.arange(90), edge, 1))
        assert np.abs(np.polyval(fits[-1], np.arange(90)) - edge).max() < 0.5
    assert fits[0][0] < -0.05 and fits[1][0] > 0.05


def test_distortion_moves_points_along_their_radius(frame):
    straight = distort(frame, second=0, fourth=0)
    assert straight.light == pytest.approx(frame.light, abs=1e-4)
    x = np.linspace(-1, 1, 121, dtype=np.float32)
    ramp = Frame(np.repeat(np.broadcast_to(x, (121, 121))[..., None], 3, 2))
    bent = distort(ramp, second=0.7, fourth=0.2).light[60, :, 0]
    radius = np.abs(np.arange(121) - 60) / (121 / np.sqrt(2))
    expected = x * (1 + 0.7 * radius**2 + 0.2 * radius**4) / 1.9
    assert bent == pytest.approx(expected, abs=1e-3)


def test_chromatic_aberration_enlarges_one_channel(frame):
    made = fringe(frame, red=9.0, green=0.0, blue=0.0).light
    assert made[..., 1:] == pytest.approx(frame.light[..., 1:], abs=1e-4)
    rows = (np.arange(48) - 23.5) / 1.09 + 23.5
    columns = (np.arange(64) - 31.5) / 1.09 + 31.5
    expected = ndimage.map_coordinates(
        frame.light[..., 0], np.meshgrid(rows, columns, indexing="ij"), order=1
    )
    assert made[..., 0] == pytest.approx(expected, abs=1e-4)


def test_vignette_falls_with_the_second_power():
    white = Frame(np.ones((48, 64, 3), np.float32))
    ratio = vignette(white, corner=0.3).light[..., 0]
    for row, column in ((0, 0), (12, 32), (24, 60)):
        away = np.hypot(row - 23.5, column - 31.5) / 40
        assert ratio[row, column] == pytest.approx(1 - 0.7 * away**2, abs=1e-5)


def test_mirrors_are_symmetric(frame):
    both = mirror(frame, axis="both").light
    assert (both == both[::-1]).all() and (both == both[:, ::-1]).all()
    left = mirror(frame, axis="left to right")
    assert (left.light == left.light[:, ::-1]).all()
    assert (left.light[:, :32] == frame.light[:, :32]).all()
    assert (left.depth == left.depth[:, ::-1]).all()
    assert (mirror(frame, axis="neither").light == frame.light).all()


def test_light_falls_off_and_is_coloured_as_recorded():
    white = Frame(np.ones((60, 80, 3), np.float32))
    dark = one_sided(white, dark=[-1, 0], least=0.04).light
    assert dark[:, 0].max() == pytest.approx(0.04, rel=0.1)
    assert dark[:, -1].min() == pytest.approx(1, rel=0.05) and (np.diff(dark[0, :, 0]) > 0).all()
    lit = gels(white, left=[2, 1, 0.5], right=[0.5, 1, 2]).light
    assert lit[0, 0] == pytest.approx([2, 1, 0.5]) and lit[0, -1] == pytest.approx([0.5, 1, 2])


def test_haze_and_things_at_the_edge(frame):
    veiled = haze(frame, veil=0.5).light
    assert veiled == pytest.approx(0.5 * frame.light + 0.5 * np.array([0.74, 0.78, 0.82]), abs=1e-6)
    assert haze(frame, veil=-1.0).light.std() > frame.light.std()
    for side, edge in (("left", np.s_[:, 0]), ("bottom", np.s_[-1])):
        change = np.abs(intrude(frame, side=side, seed=3).light - frame.light).sum(2)
        assert change[edge].max() > 0.3 and change.sum() > 0
    assert intrude(frame, side="none", seed=3) is frame


def test_darkroom_operations(frame):
    light = frame.light
    sharp = enhance(frame, radius=2 / 64 * 1000, amount=1.5).light
    soft = ndimage.gaussian_filter(light, (2, 2, 0), mode="nearest", truncate=2.5)
    assert sharp == pytest.approx(np.clip(light + 1.5 * (light - soft), 0, 1), abs=1e-5)
    assert len(np.unique(degrade(frame, kind="bands").light)) <= 4
    blocky = degrade(frame, kind="pixels").light
    assert (blocky[0] == blocky[1]).all()
    dodged = dodge(frame, subject=1.0, surroundings=0.0).light
    assert dodged[24, 32] == pytest.approx(np.clip(2 * light[24, 32], 0, 1), abs=0.02)
    assert dodged[2, 2] == pytest.approx(light[2, 2], abs=1e-3)
    changed = np.abs(retouch(frame, right=0.25, down=0.27).light - light).sum(2) > 1e-6
    assert changed[:24, :32].sum() > 0.99 * changed.sum()


def test_every_operation_keeps_the_size_and_neutral_settings_change_nothing(frame):
    neutral = {
        "exposure": "0 EV", "contrast": "normal", "tonal_key": "full", "shadows": "natural",
        "hdr": "none", "white_balance": "5500 K", "cast": "none", "saturation": "natural",
        "grading": "none", "manipulation": "untouched", "defocus": "sharp", "blur_kind": "none",
        "shutter": "1/1000 s", "aperture": "f/16", "noise_kind": "clean", "fault": "none",
        "distortion": "none", "mirror": "neither", "lens_type": "ordinary", "chromatic": "none",
        "vignette": "even", "lens_flaw": "none", "lens_effect": "none", "weather": "clear",
        "haze": "none", "filter": "none", "distraction": "none", "detail": "natural",
        "quality": "clean", "dodging": "none", "effects": "none",
    }  # fmt: skip
    for name, one in OPERATIONS.items():
        if one.change is None:
            continue
        for setting in one.settings:
            made = one.change(frame, **one.parameters(setting, generator("test", name)))
            assert made.light.shape == frame.light.shape and made.light.dtype == np.float32, name
            assert np.isfinite(made.light).all() and made.light.min() > -1e-6, (name, setting)
            if neutral.get(name) == setting:
                assert made.light == pytest.approx(frame.light, abs=1e-4), name


def test_operations_are_in_the_order_of_their_stages():
    stages = [STAGES.index(one.stage) for one in OPERATIONS.values()]
    assert stages == sorted(stages)
    assert all(len(one.settings) >= 4 for one in OPERATIONS.values())


def test_noise_tiles_and_curves_have_unit_spread():
    rng = generator("test")
    drawn = noise(rng, 64, 96, (1, 1))
    assert drawn.shape == (64, 96) and drawn.dtype == np.float32
    assert 0.6 < drawn.std() < 1.5 and abs(drawn.mean()) < 0.6
    assert curve(rng, 96, 64).shape == (96,)
    assert (noise(generator("a"), 8, 8) == noise(generator("a"), 8, 8)).all()


def test_reducing_averages_boxes(frame):
    large = Frame(frame.light, frame.subject, frame.depth, unit=2)
    small = large.reduced()
    assert small.light[3, 5] == pytest.approx(frame.light[6:8, 10:12].mean((0, 1)), abs=1e-6)
    assert small.subject.shape == small.depth.shape == (24, 32) and small.unit == 1
