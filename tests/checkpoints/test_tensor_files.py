"""Safetensors files against the library that defines them, whole and broken."""

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from mllm.checkpoints.tensor_files import Pending, TensorFiles, open_folder, write_file

VALUES = np.arange(24, dtype=np.float32).reshape(4, 6)
PART = (slice(1, 3), slice(2, 5))
NAME = "model.safetensors"
INDEX = "model.safetensors.index.json"
WHOLE = {"a": dict(dtype="F32", shape=[2], data_offsets=[0, 8])}


def write_raw(path, header, data: bytes = bytes(8), length: int | None = None):
    """A file with any header, right or wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def write_shards(folder, shards: dict[str, dict], weight_map: dict):
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_parts_equal_those_of_the_array(tmp_path, dtype):
    stored = {"a": VALUES.astype(dtype), "b": VALUES[0].astype(dtype), "none": VALUES[:0]}
    save_file(stored, tmp_path / NAME)
    files = open_folder(tmp_path)
    assert sorted(files) == ["a", "b", "none"] and len(files) == 3
    assert (files.shape("a"), files.dtype("a")) == ((4, 6), np.dtype(dtype))
    np.testing.assert_array_equal(files.read("a"), stored["a"])
    np.testing.assert_array_equal(files.read("a", PART), stored["a"][PART])
    np.testing.assert_array_equal(files.read("b", (slice(2, None),)), stored["b"][2:])
    assert files.read("none").shape == (0, 6)


def test_the_library_reads_what_is_written(tmp_path):
    stored = {
        "x.weight": VALUES,
        "y": VALUES.T.astype(np.float16),
        "z": VALUES[:0],
        "é": VALUES[1:3, ::2].astype(ml_dtypes.bfloat16),
    }
    pending = [Pending(n, v.dtype, v.shape, lambda v=v: v) for n, v in stored.items()]
    write_file(tmp_path / NAME, pending)
    loaded = load_file(tmp_path / NAME)
    assert loaded.keys() == stored.keys()
    for name, value in stored.items():
        assert loaded[name].dtype == value.dtype
        np.testing.assert_array_equal(loaded[name], value)
    with safe_open(tmp_path / NAME, "np") as file:
        assert file.metadata() == {"format": "pt"}
    assert int.from_bytes((tmp_path / NAME).read_bytes()[:8], "little") % 8 == 0  # data aligned
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_tensors_are_asked_for_one_by_one_and_a_failure_leaves_nothing(tmp_path):
    asked = []

    def fail():
        asked.append("b")
        raise RuntimeError("device lost")

    good = Pending("a", VALUES.dtype, VALUES.shape, lambda: asked.append("a") or VALUES)
    with pytest.raises(RuntimeError, match="device lost"):
        write_file(tmp_path / NAME, [good, Pending("b", VALUES.dtype, (1,), fail)])
    assert asked == ["a", "b"] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pending", "message"),
    [
        (Pending("a", np.dtype(np.int8), (1,), lambda: np.zeros(1)), r"a: expected float32.* int8"),
        (
            Pending("a", VALUES.dtype, (6, 4), lambda: VALUES),
            r"a: expected shape \(6, 4\), .*\(4, 6",
        ),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, pending, message):
    with pytest.raises(ValueError, match=message):
        write_file(tmp_path / NAME, [pending])
    assert not list(tmp_path.iterdir())


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"a": dict(dtype=dtype, shape=list(shape), data_offsets=list(offsets), **more)}


@pytest.mark.parametrize(
    ("header", "data", "length", "message"),
    [
        (WHOLE, bytes(7), None, r"expected 8 bytes of tensors, found 7; fetch it again"),
        (WHOLE, bytes(9), None, r"expected 8 bytes of tensors, found 9"),
        (WHOLE, bytes(8), 1 << 20, r"expected a header of 1048576 bytes, found \d+ bytes in all"),
        (WHOLE, bytes(8), (1 << 64) - 1, r"expected a header of 18446744073709551615 bytes"),
        (b"PK not JSON", bytes(8), None, r"its header is not JSON"),
        (b'{"a": "\xff"}', bytes(8), None, r"its header is not JSON"),
        (b"[" * 100_000, bytes(8), None, r"its header is not JSON"),
        (b"[]", b"", None, r"header: expected a JSON object, found list"),
        (b'{"a": {}, "a": {}}', b"", None, r"key 'a' occurs twice"),
        ({"a": 1}, b"", None, r"'a': key 'data_offsets': expected two byte counts, found None"),
        (entry(offsets=(0,)), bytes(8), None, r"'data_offsets': expected two .* found \[0\]"),
        (entry(offsets=(-8, 0)), bytes(8), None, r"'data_offsets': .* found \[-8, 0\]"),
        (entry(offsets=(0, 8.0)), bytes(8), None, r"'data_offsets': .* found \[0, 8.0\]"),
        (entry(offsets=(8, 0)), bytes(8), None, r"'a': expected 8 bytes for F32 \[2\], found -8"),
        (entry(offsets=(0, 12)), bytes(12), None, r"expected 8 bytes for F32 \[2\], found 12"),
        (entry(dtype="F17"), bytes(8), None, r"'a': key 'dtype': expected one of .* found 'F17'"),
        (entry(dtype=None), bytes(8), None, r"key 'dtype': .* found None"),
        (entry(shape=(-2,)), bytes(8), None, r"'a': key 'shape': expected .* found \[-2\]"),
        (entry(shape=(True,)), bytes(4), None, r"'a': key 'shape': expected .* found \[True\]"),
        (entry(shape=(1 << 62, 1 << 62)), bytes(8), None, r"'a': expected \d{38} bytes"),
        (entry(offsets=(4, 12)), bytes(12), None, r"'a': expected to begin at byte 0 .*found 4"),
        (
            {**WHOLE, "b": dict(dtype="F32", shape=[2], data_offsets=[4, 12])},
            bytes(12),
            None,
            r"'b': expected to begin at byte 8 of the data, where the last one ends, found 4",
        ),
    ],
)
def test_a_broken_header_is_named_before_anything_is_read(tmp_path, header, data, length, message):
    write_raw(tmp_path / NAME, header, data, length)
    with pytest.raises(ValueError, match=message) as caught:
        open_folder(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / NAME))


@pytest.mark.parametrize("size", [0, 5])
def test_a_file_without_a_header(tmp_path, size):
    (tmp_path / NAME).write_bytes(bytes(size))
    with pytest.raises(ValueError, match=rf"not a whole safetensors file: .* found {size} bytes"):
        open_folder(tmp_path)


def test_a_header_beyond_the_limit_of_the_format_is_not_read(tmp_path):
    with (tmp_path / NAME).open("wb") as file:  # sparse: takes no room on the disk
        file.write(struct.pack("<Q", 100_000_001))
        file.truncate(200_000_000)
    with pytest.raises(ValueError, match=r"expected a header of 100000001 bytes, found 200000000"):
        open_folder(tmp_path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_a_bad_value_is_named_where_it_is_read(tmp_path, dtype, bad):
    values = VALUES.astype(dtype)
    values[2, 3] = bad
    save_file({"a": values}, tmp_path / NAME)
    files = open_folder(tmp_path)
    assert files.read("a", (slice(0, 2),)).shape == (2, 6)
    with pytest.raises(ValueError, match=r"model\.safetensors: tensor 'a' holds NaN or infinity"):
        files.read("a", PART)


def test_a_type_that_is_not_read_is_named_when_it_is_asked_for(tmp_path):
    save_file({"a": np.arange(3), "b": VALUES}, tmp_path / NAME)
    files = open_folder(tmp_path)
    np.testing.assert_array_equal(files.read("b"), VALUES)
    with pytest.raises(ValueError, match=r"'a': expected one of F32, F16, BF16, found I64"):
        files.read("a")


def test_shards_are_one_set_of_tensors(tmp_path):
    shards = {"x.safetensors": {"a": VALUES}, "y.safetensors": {"b": VALUES + 1, "c": VALUES + 2}}
    places = {"a": "x.safetensors", "b": "y.safetensors", "c": "y.safetensors"}
    write_shards(tmp_path, shards, places)
    (tmp_path / "other.safetensors").write_bytes(b"not named by the index")
    files = open_folder(tmp_path)
    assert {name: files.path(name).name for name in files} == places
    np.testing.assert_array_equal(files.read("c", PART), VALUES[PART] + 2)


SHARDS = {"x.safetensors": {"a": VALUES}, "y.safetensors": {"b": VALUES}}
X, Y = SHARDS


@pytest.mark.parametrize(
    ("shards", "weight_map", "message"),
    [
        (
            SHARDS,
            {"a": X, "b": X},
            r"x\.safetensors: tensor 'b' is missing: .*index\.json names it",
        ),
        (SHARDS, {"a": Y, "b": X}, r"y\.safetensors: tensor 'a' is missing"),
        (SHARDS, {"a": X, "b": Y, "c": Y}, r"y\.safetensors: tensor 'c' is missing"),
        ({X: SHARDS[X], Y: {"b": VALUES, "d": VALUES}}, {"a": X, "b": Y}, r"'d' is unexpected"),
        ({X: SHARDS[X], Y: {"b": VALUES, "a": VALUES}}, {"a": X, "b": Y}, r"'a' is in .*x\.safet"),
        (SHARDS, {"a": X, "b": f"../{Y}"}, r"index\.json: expected the plain name .*'\.\./y"),
        (SHARDS, {"a": X, "b": "/etc/y.safetensors"}, r"plain name .*'/etc/y\.safetensors'"),
        (SHARDS, {"a": X, "b": "sub/y.safetensors"}, r"plain name .*'sub/y\.safetensors'"),
        (SHARDS, {"a": X, "b": "..\\y.safetensors"}, r"plain name"),
        (SHARDS, {"a": X, "b": "y\0.safetensors"}, r"plain name"),
        (SHARDS, {"a": X, "b": "weights.bin"}, r"plain name of a \.safetensors file.*weights\.bin"),
        (SHARDS, {"a": X, "b": 3}, r"'weight_map': expected tensor names with their file names"),
        (SHARDS, ["a"], r"'weight_map': expected tensor names"),
        (SHARDS, {}, r"'weight_map': expected tensors, found none"),
    ],
)
def test_an_index_that_does_not_fit_its_shards(tmp_path, shards, weight_map, message):
    write_shards(tmp_path, shards, weight_map)
    with pytest.raises(ValueError, match=message) as caught:
        open_folder(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none: no such folder"):
        open_folder(tmp_path / "none")
    write_shards(tmp_path, {X: {"a": VALUES}}, {"a": X, "b": Y})
    with pytest.raises(FileNotFoundError, match=r"y\.safetensors: no such file, .*1 of 2 shards"):
        open_folder(tmp_path)
    (tmp_path / INDEX).write_text("{")
    with pytest.raises(ValueError, match=r"index\.json: not JSON"):
        open_folder(tmp_path)


def test_links_of_a_folder_are_followed_wherever_they_lead(tmp_path):
    snapshot, blobs = tmp_path / "model/snapshots/1234", tmp_path / "model/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    save_file({"a": VALUES}, blobs / "5678")
    (snapshot / NAME).symlink_to("../../blobs/5678")
    np.testing.assert_array_equal(open_folder(snapshot).read("a"), VALUES)
    (tmp_path / "link").symlink_to(snapshot)
    np.testing.assert_array_equal(open_folder(tmp_path / "link").read("a"), VALUES)
    elsewhere = tmp_path / "store" / "shards"
    elsewhere.mkdir(parents=True)
    write_shards(elsewhere, SHARDS, {"a": X, "b": Y})
    view = tmp_path / "view"
    view.mkdir()
    for path in elsewhere.iterdir():
        (view / path.name).symlink_to(path)
    assert sorted(open_folder(view)) == ["a", "b"]
    (elsewhere / Y).unlink()
    with pytest.raises(FileNotFoundError, match=r"view/y\.safetensors: is a link to .*not there"):
        open_folder(view)
    (view / INDEX).unlink()
    os.symlink(tmp_path / "gone", view / NAME)
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: is a link to .*gone, which"):
        open_folder(view)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"found neither"),
        (
            ["pytorch_model.bin"],
            r"found pytorch_model\.bin, whose reading can run code.*safe_serial",
        ),
        (
            ["model-00001-of-00002.safetensors"],
            r"found model-00001.* \(1 in all\); fetch the index",
        ),
        (
            ["model.fp16.safetensors"],
            r"found model\.fp16.*give a single file the name model\.safet",
        ),
        (["tf_model.h5"], r"found tf_model\.h5, of another library"),
        (["flax_model.msgpack", "config.json"], r"found flax_model\.msgpack, of another library"),
    ],
)
def test_other_weights_than_those_expected_are_named(tmp_path, names, message):
    for name in names:
        (tmp_path / name).write_bytes(b"content")
    with pytest.raises(FileNotFoundError, match=rf"expected {NAME} or {INDEX}, {message}"):
        open_folder(tmp_path)


def test_single_files_can_be_named(tmp_path):
    save_file({"a": VALUES}, tmp_path / "adapter.safetensors")
    files = TensorFiles(tmp_path, [tmp_path / "adapter.safetensors"])
    np.testing.assert_array_equal(files.read("a"), VALUES)
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors: no such file"):
        TensorFiles(tmp_path, [tmp_path / "none.safetensors"])
