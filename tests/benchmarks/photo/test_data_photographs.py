"""Photographs: where they come from, their parts, and those that may not be installed."""

import numpy as np
import pytest
from PIL import Image

from mllm.benchmarks.photo import photographs as module
from mllm.benchmarks.photo.develop import Source, develop
from mllm.benchmarks.photo.draw.canvas import to_encoded
from mllm.benchmarks.photo.photographs import PHOTOGRAPHS, about, depth, photograph, photographs


def test_a_part_shows_the_pixels_of_the_file():
    path = about("coffee").path(about("coffee").file)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB").crop((150, 100, 450, 300)), np.float32) / 255
    frame = photograph("coffee", (0.25, 0.25, 0.75, 0.75), 200, 300)
    assert to_encoded(frame.light) == pytest.approx(expected, abs=2 / 255)
    small = photograph("coffee", (0.25, 0.25, 0.75, 0.75), 50, 75).light
    boxes = frame.light.reshape(50, 4, 75, 4, 3).mean((1, 3))
    assert np.abs(small - boxes).mean() < 0.01


def test_subjects_are_where_the_table_says():
    frame = photograph("rocket", (0.0, 0.0, 1.0, 1.0), 100, 150)
    left, top, right, bottom = about("rocket").box
    rows, columns = np.nonzero(frame.subject > 0.5)
    assert columns.mean() / 150 == pytest.approx((left + right) / 2, abs=0.02)
    assert rows.mean() / 100 == pytest.approx((top + bottom) / 2, abs=0.03)
    part = photograph("rocket", (0.5, 0.0, 1.0, 1.0), 100, 75)
    assert np.nonzero(part.subject > 0.5)[1].max() < 25  # the rocket is at the left of this half


def test_the_motorcycle_is_nearer_than_the_wall():
    frame = photograph("motorcycle", (0.0, 0.0, 1.0, 1.0), 100, 148)
    assert frame.depth.min() >= 0 and frame.depth.max() <= 1
    assert frame.depth[55:75, 60:90].mean() < frame.depth[:20].mean() - 0.2
    assert depth("coffee") is None and photograph("coffee", (0, 0, 1, 1), 8, 12).depth is None


def test_each_split_has_photographs_and_each_photograph_a_licence():
    assert {one.split for one in PHOTOGRAPHS.values()} == {"train", "validation", "test"}
    assert all(one.licence and one.title for one in photographs(True).values())
    with pytest.raises(ValueError, match="did you mean 'coffee'"):
        about("cofee")


def test_wallpapers_count_where_they_are_installed(tmp_path, monkeypatch):
    folder = tmp_path / "mate" / "nature"
    folder.mkdir(parents=True)
    ramp = np.linspace(0, 255, 1500 * 1200).reshape(1200, 1500).astype(np.uint8)
    Image.fromarray(ramp).save(folder / "Dune.jpg")
    monkeypatch.setattr(module, "WALLPAPERS", tmp_path)
    photographs.cache_clear()
    try:
        assert "mate/nature/Dune" not in photographs()
        found = photographs(further=True)["mate/nature/Dune"]
        assert "GPL" in found.licence and found.aspect == 1.25
        assert module.pixels("mate/nature/Dune").shape == (819, 1024, 3)
        picture = develop(Source("photograph", "mate/nature/Dune", 60, 48), {})
        assert picture.shape == (48, 60, 3) and picture[-1].mean() > picture[0].mean() + 100
    finally:
        photographs.cache_clear()


def test_a_missing_package_is_named():
    one = module.Photograph("data/x.png", "x", "train", None, "none", package="no_such_package")
    with pytest.raises(FileNotFoundError, match="package no_such_package: not installed"):
        one.path(one.file)
