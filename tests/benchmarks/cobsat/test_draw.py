"""The drawings: each shows what it should where that can be measured, and is drawn the same again.

Whether a person names object and detail at a glance was seen on contact sheets.
"""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from mllm.benchmarks.cobsat.draw import image, picture
from mllm.benchmarks.cobsat.draw.glyphs import GLYPHS, shape
from mllm.benchmarks.cobsat.draw.sprites import COUNT, SPRITES
from mllm.benchmarks.cobsat.draw.svg import coverage
from mllm.benchmarks.cobsat.draw.view import view
from mllm.benchmarks.cobsat.tasks import KINDS, THEMES, WORDS, Pair

HUES = {
    "yellow": 52,
    "red": 357,
    "purple": 273,
    "pink": 327,
    "orange": 31,
    "green": 131,
    "blue": 221,
}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("theme", THEMES)
def test_the_same_arguments_give_the_same_file(theme):
    pair = Pair(theme, WORDS[theme][0], WORDS[KINDS[theme]][1])
    for size, seed in ((64, 0), (64, 7), (130, 7)):
        drawn = picture(pair, size, seed)
        assert drawn == picture(pair, size, seed)
        assert Image.open(io.BytesIO(drawn)).format == "PNG"
        assert pixels(drawn).shape == (size, size, 3)


@pytest.mark.parametrize("theme", THEMES)
def test_details_and_objects_differ_far_beyond_noise(theme):
    """Also for a model that sees little: at 32 pixels, in root mean square over all channels."""
    details, objects = WORDS[theme], WORDS[KINDS[theme]]
    chosen = {Pair(theme, detail, objects[2]) for detail in details}
    chosen |= {Pair(theme, details[3], object) for object in objects}
    small = np.stack([np.asarray(image(pair, 32), float).ravel() / 255 for pair in chosen])
    apart = np.sqrt(((small[:, None] - small[None]) ** 2).mean(axis=2))
    assert (apart + np.eye(len(chosen))).min() > 0.04 and len(chosen) == 19


@pytest.mark.parametrize("color", WORDS["color"])
def test_objects_have_their_color(color):
    """The hue of most saturated pixels, or the lightness of what stands on the grey ground."""
    drawn = np.asarray(image(Pair("color", color, "apple"), 64), float) / 255
    inside = drawn[26:52, 20:44].reshape(-1, 3)
    hue, light, saturation = np.median([colorsys.rgb_to_hls(*pixel) for pixel in inside], axis=0)
    if color in ("white", "black"):
        assert light > 0.95 if color == "white" else light < 0.15
    elif color == "brown":
        assert 15 < hue * 360 < 40 and light < 0.4 and saturation > 0.4
    else:
        assert abs(hue * 360 - HUES[color]) < 8 and saturation > 0.6


def test_views_change_little():
    """The subject stays in the picture, and no picture is darkened or bleached beyond use."""
    means = []
    for seed in range(1, 40):
        seen = view(seed)
        drawn = coverage(
            f'<g transform="{seen.front}"><rect x="12" y="12" width="76" height="76"/></g>', 50
        )
        assert drawn.sum() / 2500 > 0.76**2 * 0.88**2 * 0.95
        means.append(np.asarray(image(Pair("color", "red", "ball"), 32, seed)).mean())
    usual = np.asarray(image(Pair("color", "red", "ball"), 32)).mean()
    assert max(abs(mean - usual) for mean in means) < 45
    assert len(set(means)) == len(means)


def test_bodies_enclose_their_lines_and_show_through_gaps():
    for name in (*GLYPHS, "chair"):
        drawn = shape(name, 400)
        ink = coverage(f'<path d="{drawn.ink}"/>', 200) > 0.5
        body = coverage(f'<path d="{drawn.body}"/>', 200) > 0.5
        assert (ink & ~body).sum() <= 0.02 * ink.sum(), name
        left, top, right, bottom = drawn.bounds
        assert 79 <= max(right - left, bottom - top) <= 83, name
    solid = {"cup": (104, 120), "bag": (100, 130), "chair": (104, 118)}
    for name, (x, y) in {"cup": (159, 104), "bag": (100, 40), "chair": (88, 90)}.items():
        body = coverage(f'<path d="{shape(name, 400).body}"/>', 200)
        assert body[y, x] == 0 and body[solid[name][::-1]] == 1, name


def test_sprites_are_square_and_closed():
    assert set(SPRITES) == set(WORDS["object"])
    for text in SPRITES.values():
        rows = text.split()
        assert len(rows) == COUNT and {len(row) for row in rows} == {COUNT}
        assert set("".join(rows)) <= set(".kfldrwg")
