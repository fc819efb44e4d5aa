"""Files of all kinds are read as photographs, or named with the reason."""

import io
import os
import sys
from types import SimpleNamespace

import numpy as np
import odd_pictures
import pytest
from folder_of_photographs import PASSED, SEEN, SHADES, make_folder, swapped_profile
from PIL import Image

from mllm.benchmarks.photo.assistant import photographs
from mllm.benchmarks.photo.assistant.files import Passed, find_files, name_of
from mllm.benchmarks.photo.assistant.photographs import SIDE, Photograph, read_photograph
from mllm.data.images import decode


def pixels(one: Photograph) -> np.ndarray:
    image = Image.open(io.BytesIO(one.picture))
    assert image.mode == "RGB" and max(image.size) <= SIDE
    return np.asarray(image)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What was read, or passed over, by name."""
    folder = make_folder(tmp_path_factory.mktemp("photos"))
    files, passed = find_files(folder, folder / "results")
    found = [read_photograph(path, name_of(path, folder)) for path in files]
    return {one.name: one for one in [*found, *passed]}


def test_a_folder_is_read_whole(read):
    assert {n for n, one in read.items() if isinstance(one, Photograph)} == set(SEEN)
    assert {n for n, one in read.items() if isinstance(one, Passed)} == set(PASSED)
    for name, size in SEEN.items():
        assert read[name].size == size, name
    for name, reason in PASSED.items():
        assert read[name].reason.startswith(reason), (name, read[name].reason)


@pytest.mark.parametrize("name", sorted(odd_pictures.SHOWN))
def test_a_small_picture_without_a_profile_is_what_the_house_decodes(name, tmp_path):
    data = odd_pictures.SHOWN[name]
    (tmp_path / "file").write_bytes(data)
    one = read_photograph(tmp_path / "file", "file")
    np.testing.assert_array_equal(pixels(one), np.asarray(decode(data)))


@pytest.mark.parametrize("name", sorted(odd_pictures.REFUSED))
def test_what_the_house_refuses_is_passed_over(name, tmp_path):
    (tmp_path / "file.png").write_bytes(odd_pictures.REFUSED[name])
    assert isinstance(read_photograph(tmp_path / "file.png", "file.png"), Passed)


def test_colours_are_those_that_the_profile_says(read):
    expected = np.asarray(SHADES)[..., ::-1].astype(int)
    found = pixels(read["nested/profile.png"]).astype(int)
    assert np.abs(found - expected).max() <= 2
    assert read["nested/profile.png"].notes == ("colours converted from tRGB built-in to sRGB",)


@pytest.mark.parametrize(
    "image, profile, note",
    [
        (SHADES, b"no profile", "its colour profile is damaged and was not used"),
        (SHADES.convert("L"), swapped_profile(), "its colour profile (tRGB built-in) is for RGB,"),
        (SHADES.convert("CMYK"), swapped_profile(), "its colour profile (tRGB built-in) is for"),
    ],
)
def test_a_profile_that_does_not_fit_is_not_used(image, profile, note, tmp_path):
    kind = "JPEG" if image.mode == "CMYK" else "PNG"
    (tmp_path / "one").write_bytes(odd_pictures.encoded(image, kind, icc_profile=profile))
    one = read_photograph(tmp_path / "one", "one")
    assert one.notes[0].startswith(note)
    plain = np.asarray(decode((tmp_path / "one").read_bytes()))
    np.testing.assert_array_equal(pixels(one), plain)


def test_transparency_and_palettes_keep_their_profile(tmp_path):
    clear = SHADES.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(SHADES.size))
    swapped = Image.merge("RGBA", [clear.getchannel(c) for c in "BGRA"])
    expected = np.asarray(decode(odd_pictures.encoded(swapped))).astype(int)
    for image in (clear, clear.quantize(256)):
        data = odd_pictures.encoded(image, icc_profile=swapped_profile())
        (tmp_path / "one.png").write_bytes(data)
        found = pixels(read_photograph(tmp_path / "one.png", "one.png")).astype(int)
        assert np.abs(found - expected).mean() < (3 if image is clear else 12)


def test_a_panorama_is_shrunk_while_it_is_decoded(read, tmp_path, monkeypatch):
    assert pixels(read["panorama.jpg"]).shape == (20, SIDE, 3)
    assert (
        read["panorama.jpg"].notes[0] == "shown to the model with 2048 pixels along its longer side"
    )
    monkeypatch.setattr(photographs, "MOST_PIXELS", 1_000_000)  # fewer than 12,000 x 120
    wide = odd_pictures.RGB.resize((12_000, 120))
    for name, kind in (("one.jpg", "JPEG"), ("one.png", "PNG")):
        wide.save(tmp_path / name, kind)
    assert isinstance(read_photograph(tmp_path / "one.jpg", "one.jpg"), Photograph)
    png = read_photograph(tmp_path / "one.png", "one.png")
    assert png.reason.startswith("cannot be read (12000 x 120 pixels of PNG, more than 1,000,000;")


def test_notes_say_what_was_chosen(read):
    assert read["animated.gif"].notes == ("the first of 2 frames of an animation",)
    assert read["cmyk.jpg"].notes[0].startswith("printing colours (CMYK) without a profile")


def test_a_bomb_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    (tmp_path / "bomb.png").write_bytes(odd_pictures.SHOWN["PNG"])
    one = read_photograph(tmp_path / "bomb.png", "bomb.png")
    assert one.reason == "has more than 200 pixels; save it smaller"


@pytest.mark.skipif(os.geteuid() == 0, reason="the root user may read everything")
def test_what_may_not_be_read_is_named(tmp_path):
    (tmp_path / "mine.png").write_bytes(odd_pictures.SHOWN["PNG"])
    (tmp_path / "closed").mkdir()
    for path in tmp_path.iterdir():
        path.chmod(0)
    files, passed = find_files(tmp_path, tmp_path / "results")
    assert passed == [Passed("closed/", "cannot be opened (Permission denied)")]
    assert read_photograph(files[0], "mine.png").reason == "cannot be opened (Permission denied)"


def test_refusals_of_the_system_are_named(tmp_path, monkeypatch):
    (tmp_path / "mine.png").write_bytes(odd_pictures.SHOWN["PNG"])

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    one = read_photograph(tmp_path / "mine.png", "mine.png")
    assert one.reason == "cannot be opened (Permission denied)"


def test_heic_is_read_where_its_package_is_installed(monkeypatch):
    called = []
    package = SimpleNamespace(register_heif_opener=lambda: called.append("registered"))
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    photographs._formats.cache_clear()
    assert "JPEG" in photographs._formats() and called == ["registered"]
    photographs._formats.cache_clear()


def test_names_are_text(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / name).write_bytes(odd_pictures.SHOWN["PNG"])
    files, _ = find_files(tmp_path, tmp_path / "results")
    assert name_of(files[0], tmp_path) == "caf\\xe9.png"


def test_results_in_the_folder_are_left_out(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "page.png").write_bytes(b"x")
    assert find_files(tmp_path, tmp_path / "results") == ([], [])
    with pytest.raises(FileNotFoundError, match="no such folder; give a folder of photographs"):
        find_files(tmp_path / "none", tmp_path)
