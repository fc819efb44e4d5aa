"""Keys agree with pixels: every edit of a data set is undone, and its effect measured."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mllm.benchmarks.photo.attributes import ATTRIBUTES
from mllm.benchmarks.photo.develop import Source, develop, draw_edits, from_record, seen
from mllm.benchmarks.photo.draw import KINDS
from mllm.benchmarks.photo.draw.canvas import to_linear
from mllm.benchmarks.photo.frame import Frame
from mllm.benchmarks.photo.operations import OPERATIONS
from mllm.benchmarks.photo.row import SPLITS
from mllm.data.images import decode


def luma(picture):
    return np.asarray(Image.fromarray(picture).convert("L"), np.float64) / 255


def level(picture):
    return to_linear(picture / 255).mean()


def channel(picture, one):
    """The share of a channel in all light."""
    means = to_linear(picture / 255).mean((0, 1))
    return means[one] / max(means.sum(), 1e-6)


def spread(picture):
    return luma(picture).std()


def detail(picture):
    """The deviation of the Laplacian."""
    return ndimage.laplace(luma(picture)).std()


def chroma(picture):
    return np.ptp(picture.astype(int), axis=2).mean()


def corners(picture):
    """How bright the corners are relative to the middle."""
    tones, (height, width) = luma(picture), picture.shape[:2]
    y, x = np.ogrid[:height, :width]
    away = np.hypot(y - height / 2, x - width / 2) / np.hypot(height, width) * 2
    return tones[away > 0.8].mean() / max(tones[away < 0.4].mean(), 1e-3)


def side(picture, axis):
    """How bright the first half is relative to the second, along an axis."""
    first, second = np.array_split(luma(picture), 2, axis)
    return first.mean() / max(second.mean(), 1e-3)


def red(picture):
    return channel(picture, 0)


def green(picture):
    return channel(picture, 1)


def blue(picture):
    return channel(picture, 2)


def black(picture):
    return (luma(picture) < 0.01).mean()


def white(picture):
    return (luma(picture) > 0.99).mean()


# What is measured, and whether a setting must make it more (1) or less (-1).
EFFECTS = {
    "exposure": {"-2 EV": {level: -1}, "-1 EV": {level: -1}, "+2 EV": {level: 1}},
    "contrast": {"flat": {spread: -1}, "strong": {spread: 1}, "harsh": {spread: 1}},
    "clipping": {"shadows": {level: -1}, "highlights": {level: 1}, "neither": {spread: -1}},
    "tonal_key": {"high key": {level: 1}, "low key": {level: -1}, "matte": {spread: -1}},
    "white_balance": {"2000 K": {blue: 1, red: -1}, "3200 K": {blue: 1}, "40000 K": {blue: -1}},
    "cast": {"green": {green: 1}, "magenta": {green: -1}, "cyan": {red: -1}, "red": {red: 1}},
    "saturation": {"none": {chroma: -1}, "muted": {chroma: -1}, "garish": {chroma: 1}},
    "noise": {"ISO 6400": {detail: 1}, "ISO 25600": {detail: 1}},
    "noise_kind": {"grain": {detail: 1}, "smeared": {detail: -1}},
    "defocus": {"soft": {detail: -1}, "blurred": {detail: -1}, "unrecognisable": {detail: -1}},
    "shake": {setting: {detail: -1} for setting in OPERATIONS["shake"].settings},
    "shutter": {"1/60 s": {detail: -1}, "1/15 s": {detail: -1}, "1/4 s": {detail: -1}},
    "blur_kind": {"motion": {detail: -1}, "focus": {detail: -1}, "zoom": {detail: -1}},
    "vignette": {"black": {corners: -1}, "dark": {corners: -1}, "bright": {corners: 1}},
    "falloff": {
        "left": {lambda p: side(p, 1): -1},
        "right": {lambda p: side(p, 1): 1},
        "top": {lambda p: side(p, 0): -1},
        "bottom": {lambda p: side(p, 0): 1},
    },
    "haze": {"dense": {spread: -1}, "light": {spread: -1}, "overdone": {level: -1}},
    "shadows": {"lifted": {level: 1}, "crushed": {level: -1}, "blue": {blue: 1}},
    "detail": {"smeared": {detail: -1}, "crisp": {detail: 1}, "haloed": {spread: 1}},
}


def test_every_item_shows_the_edit_that_its_key_follows_from(photo_micro):
    """The picture is developed again without one edit, and compared with the stored picture."""
    checked = set()
    for photo in (one for split in SPLITS for one in photo_micro.photos(split)):
        stored, (source, edits) = np.asarray(decode(photo.picture)), from_record(photo.record)
        for edit in photo.record["edits"]:
            name, setting = edit["operation"], edit["setting"]
            for attribute in ATTRIBUTES.values():
                if attribute.operation == name:
                    place = list(OPERATIONS[name].settings).index(setting)
                    assert photo.facts[attribute.name] == attribute.values[place]
            without = None
            others = [OPERATIONS[other].touches for other in edits if other != name]
            curved = any("tone" in touched for touched in others)
            for measure, sign in EFFECTS.get(name, {}).get(setting, {}).items():
                if measure is detail and curved:  # curves exaggerate or clip what is left of it
                    continue
                if without is None:
                    without = develop(source, {k: v for k, v in edits.items() if k != name})
                before, after = measure(without), measure(stored)
                assert sign * (after - before) > 0, (photo.id, name, setting, before, after)
                checked.add(name)
    assert len(checked) > len(EFFECTS) / 2


def test_a_record_makes_the_stored_picture_again(photo_micro):
    for photo in list(photo_micro.photos("test"))[::3]:
        assert (develop(*from_record(photo.record)) == np.asarray(decode(photo.picture))).all()


ORDERED = {  # what grows or falls from each setting to the next
    "exposure": (level, 1),
    "saturation": (chroma, 1),
    "contrast": (spread, 1),
    "noise": (detail, 1),
    "defocus": (detail, -1),
    "shutter": (detail, -1),
    "vignette": (corners, 1),
    "white_balance": (lambda p: red(p) / blue(p), 1),
}


@pytest.mark.parametrize("name", ORDERED)
@pytest.mark.parametrize("kind", ["forest", "photograph"])
def test_what_is_measured_grows_from_setting_to_setting(name, kind):
    source = Source(kind, "coffee" if kind == "photograph" else "7", 96, 64)
    measure, sign = ORDERED[name]
    found = [
        sign * measure(develop(source, draw_edits({name: setting}, "order")))
        for setting in OPERATIONS[name].settings
    ]
    assert found == sorted(found) and len(set(found)) == len(found)


def test_clipped_tones_are_those_of_the_record():
    source = Source("photograph", "astronaut", 96, 96)
    found = {
        setting: [
            share(develop(source, draw_edits({"clipping": setting}, "x"))) > 0.15
            for share in (black, white)
        ]
        for setting in OPERATIONS["clipping"].settings
    }
    assert found == {
        "shadows": [True, False],
        "highlights": [False, True],
        "both": [True, True],
        "neither": [False, False],
    }


@pytest.mark.parametrize("kind", ["trees", "seascape"])
def test_a_horizon_slopes_as_the_record_says(kind):
    """The slope of the ground's edge, by regression, before and after the camera is turned."""
    source = Source(kind, "3", 96, 64)
    for setting, parameters in OPERATIONS["tilt"].settings.items():
        edits = draw_edits({"tilt": setting}, "x")
        level_scene = _ground(source, {})
        turned = OPERATIONS["tilt"].change(level_scene, **edits["tilt"]).light[..., 0]
        inside = turned[:, 20:-20]
        heights = inside.shape[0] - inside.sum(0)
        slope = np.polyfit(np.arange(inside.shape[1]), heights, 1)[0]
        angle = np.degrees(np.arctan(-slope))
        assert angle == pytest.approx(parameters["degrees"], abs=0.7)
        down = "left" if angle > 0.7 else "right" if angle < -0.7 else "level"
        assert down in setting


def _ground(source, edits):
    """Return a frame that is 1 below the horizon of a scene."""
    frame = seen(source, edits)
    rows = np.arange(frame.shape[0])[:, None, None] / frame.shape[0]
    ground = np.broadcast_to(rows > frame.facts["horizon"], frame.light.shape)
    return Frame(ground.astype(np.float32))


def test_scenes_show_where_subject_and_horizon_are():
    for setting, place in OPERATIONS["placement"].settings.items():
        for kind in ("flower", "minimal"):
            frame = seen(Source(kind, "5", 96, 64), draw_edits({"placement": setting}, "x"))
            y, x = ndimage.center_of_mass(frame.subject)
            assert x / frame.shape[1] == pytest.approx(place["x"], abs=0.06)
            assert y / frame.shape[0] == pytest.approx(place["y"], abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_scenes_are_drawn_at_any_aspect_and_are_the_same_again(kind):
    for width, height in ((48, 32), (32, 48), (48, 48)):
        source = Source(kind, "1", width, height)
        first = develop(source, {})
        assert first.shape == (height, width, 3) and first.std() > 5
    assert (first == develop(source, {})).all()
    assert (first != develop(Source(kind, "2", width, height), {})).any()
