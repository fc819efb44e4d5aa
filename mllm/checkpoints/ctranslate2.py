"""Read model files of CTranslate2: a list of named arrays, mapped from the disk.

A file holds its version, the name and revision of its kind of model, and the number of arrays; of
each array the name, shape, type and number of bytes, then its values; and at the end other names
for some of them. Numbers are little-endian, texts are preceded by their length and end with a zero.
"""

import mmap
import struct
from pathlib import Path

import numpy as np

from mllm.files import require_file

VERSION = 6
TYPES = dict(enumerate(("float32", "int8", "int16", "int32", "float16")))


class _Reader:
    """Numbers and texts of a file, one after the other."""

    def __init__(self, path: Path, content: mmap.mmap):
        self.path, self.content, self.place = path, content, 0

    def number(self, form: str) -> int:
        (found,) = struct.unpack("<" + form, self.bytes(struct.calcsize("<" + form)))
        return found

    def text(self) -> str:
        return bytes(self.bytes(self.number("H"))).rstrip(b"\0").decode(errors="replace")

    def bytes(self, count: int) -> memoryview:
        end = self.place + count
        if end > len(self.content):
            raise ValueError(
                f"{self.path}: ends after {len(self.content)} bytes, expected {end} or more: the "
                "file is cut off, or no model of CTranslate2"
            )
        found = memoryview(self.content)[self.place : end]
        self.place = end
        return found


def read_ctranslate2(path: Path, kind: str) -> dict[str, np.ndarray]:
    """Return the arrays of a model file by name; they are read from the disk when they are used.

    Args:
      kind: what the file must hold, such as "WhisperSpec".

    Raises:
      FileNotFoundError, ValueError: the message names the file, found and expected.
    """
    require_file(path)
    if not path.stat().st_size:
        raise ValueError(f"{path}: is empty, expected a model of CTranslate2")
    with path.open("rb") as file:
        reader = _Reader(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    found = reader.number("I"), reader.text()
    if found != (VERSION, kind):
        raise ValueError(
            f"{path}: found version {found[0]} of a {found[1]!r}, expected version {VERSION} of a "
            f"{kind!r} of CTranslate2"
        )
    reader.number("I")  # the revision of the kind, which changes no names that are read
    arrays = {}
    for _ in range(reader.number("I")):
        name, rank = reader.text(), reader.number("B")
        shape = tuple(reader.number("I") for _ in range(rank))
        type_id, size = reader.number("B"), reader.number("I")
        if type_id not in TYPES:
            raise ValueError(
                f"{path}: array {name!r}: found type {type_id}, expected one of {TYPES}"
            )
        values = np.frombuffer(reader.bytes(size), TYPES[type_id])
        if values.size != np.prod(shape, dtype=np.int64):
            raise ValueError(
                f"{path}: array {name!r}: found {values.size} values, expected shape {shape}"
            )
        arrays[name] = values.reshape(shape)
    return arrays | {reader.text(): arrays[reader.text()] for _ in range(reader.number("I"))}
