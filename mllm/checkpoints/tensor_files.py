"""Read safetensors files in parts, after checking every header, and write them tensor by tensor.

The format: https://huggingface.co/docs/safetensors. The ``safetensors`` library can also read
parts, but its errors do not name the tensor, and it needs all tensors of a file at once to write.
"""

import json
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from mllm.files import read_json, replacing, require_file

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
# The format's names for the types that our trees may hold; of other types only sizes are known.
FLOATS = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
# What quantised weights are made of: read only by mllm.checkpoints.quantised.
CODES = {
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
}
_BITS = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the format
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_FOREIGN = (".h5", ".msgpack", ".onnx", ".gguf", ".ot", ".npz")


@dataclass(frozen=True)
class Stored:
    """The location of a tensor: its file, type, shape and first byte."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    start: int


class TensorFiles:
    """The tensors of one or more safetensors files by name, with all headers checked."""

    def __init__(self, where: Path, paths: Iterable[Path]):
        """Read the headers of ``paths``; errors about all of them name ``where``.

        Raises:
          FileNotFoundError, ValueError: the message names the file, found and expected.
        """
        self.where = where
        self._stored: dict[str, Stored] = {}
        for path in paths:
            for name, stored in _read_header(Path(path)).items():
                if name in self._stored:
                    first = self._stored[name].path
                    raise ValueError(f"{path}: tensor {name!r} is in {first} too; remove one")
                self._stored[name] = stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def __len__(self) -> int:
        return len(self._stored)

    def path(self, name: str) -> Path:
        """Return the file that holds a tensor."""
        return self._stored[name].path

    @property
    def names(self) -> list[str]:
        """The names of the files that hold tensors, sorted."""
        return sorted({stored.path.name for stored in self._stored.values()})

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the full shape of a tensor."""
        return self._stored[name].shape

    def kind(self, name: str) -> str:
        """Return the format's name for the type of a tensor, such as ``BF16``."""
        return self._stored[name].kind

    def dtype(self, name: str) -> np.dtype:
        """Return the dtype of a tensor: float32, float16 or bfloat16.

        Raises:
          ValueError: the tensor has another type.
        """
        if self.kind(name) not in FLOATS:
            raise ValueError(
                f"{self.path(name)}: tensor {name!r}: expected one of {', '.join(FLOATS)}, "
                f"found {self.kind(name)}; save the model in one of these"
            )
        return FLOATS[self.kind(name)]

    def read(self, name: str, index: tuple[slice, ...] = ()) -> np.ndarray:
        """Copy the part ``tensor[index]`` from the disk without reading the rest.

        Raises:
          ValueError: the tensor has an unsupported type, or the part holds NaN or infinity.
        """
        return self.require_finite(name, self._copy(name, self.dtype(name), index))

    def read_codes(self, name: str, index: tuple[slice, ...] = ()) -> np.ndarray:
        """Copy a part of a tensor of any type in ``CODES``, or of those that ``read`` takes."""
        return self._copy(name, (FLOATS | CODES)[self.kind(name)], index)

    def require_finite(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return values of a tensor after checking that they are numbers.

        Raises:
          ValueError: one is NaN or infinity.
        """
        if not np.isfinite(values).all():
            raise ValueError(
                f"{self.path(name)}: tensor {name!r} holds NaN or infinity; the file is damaged, "
                "or the run that wrote it diverged"
            )
        return values

    def _copy(self, name: str, dtype: np.dtype, index: tuple[slice, ...]) -> np.ndarray:
        stored = self._stored[name]
        if math.prod(stored.shape) == 0:  # an empty tensor cannot be mapped
            return np.empty(stored.shape, dtype)[index]
        whole = np.memmap(stored.path, dtype, "r", offset=stored.start, shape=stored.shape)
        return np.array(whole[index])


def open_folder(folder: Path) -> TensorFiles:
    """Open the weights of a Hugging Face folder: ``model.safetensors``, or the shards of its index.

    Raises:
      FileNotFoundError: the folder has neither; the message says how to convert pickled weights.
      ValueError: the index or a file is damaged, they contradict each other, or the index leads
        out of the folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    if os.path.lexists(folder / SINGLE):
        return TensorFiles(folder / SINGLE, [folder / SINGLE])
    if os.path.lexists(folder / INDEX):
        return _open_shards(folder, folder / INDEX)
    raise FileNotFoundError(f"{folder}: expected {SINGLE} or {INDEX}, found {_find_other(folder)}")


def _find_other(folder: Path) -> str:
    """Say which other weights a folder holds, and what to do with them."""
    names = sorted(path.name for path in folder.iterdir())
    shards = [name for name in names if name.endswith(".safetensors")]
    if shards:
        return (
            f"{shards[0]} ({len(shards)} in all); fetch the index too if these are shards of it, "
            f"or give a single file the name {SINGLE}"
        )
    pickled = [name for name in names if name.endswith(PICKLED)]
    if pickled:
        return (
            f"{pickled[0]}, whose reading can run code; load it with transformers and write it "
            "with save_pretrained(folder, safe_serialization=True)"
        )
    foreign = [name for name in names if name.endswith(_FOREIGN)]
    return (
        f"{foreign[0]}, of another library; convert it with that library" if foreign else "neither"
    )


def _open_shards(folder: Path, index: Path) -> TensorFiles:
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(s, str) for s in shards.values()):
        raise ValueError(f"{index}: key 'weight_map': expected tensor names with their file names")
    if not shards:
        raise ValueError(f"{index}: key 'weight_map': expected tensors, found none")
    names = sorted(set(shards.values()))
    for name in names:
        # The user named this folder, so links in it may lead anywhere; a name in a file may not.
        if "/" in name or "\\" in name or "\0" in name or not name.endswith(".safetensors"):
            raise ValueError(
                f"{index}: expected the plain name of a .safetensors file, found {name!r}"
            )
    absent = [name for name in names if not os.path.lexists(folder / name)]
    if absent:
        raise FileNotFoundError(
            f"{folder / absent[0]}: no such file, {index} names it; {len(absent)} of "
            f"{len(names)} shards are missing, fetch them again"
        )
    files = TensorFiles(index, (folder / name for name in names))
    for name, shard in shards.items():
        if name not in files or files.path(name).name != shard:
            raise ValueError(f"{folder / shard}: tensor {name!r} is missing: {index} names it")
    for name in files:
        if name not in shards:
            raise ValueError(f"{files.path(name)}: tensor {name!r} is unexpected: not in {index}")
    return files


def _read_header(path: Path) -> dict[str, Stored]:
    """Return the tensors of one file, after checking that they fill it without overlaps or gaps."""
    size = require_file(path).stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise ValueError(
                f"{path}: not a whole safetensors file: expected a header of {length} bytes, "
                f"found {size} bytes in all; fetch it again"
            )
        header = _parse_header(path, file.read(length))
    first, end = 8 + length, 0
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: _offsets(path, *item)):
        kind, shape, (begin, stop) = _check_entry(path, name, entry)
        if begin != end:
            raise ValueError(
                f"{path}: tensor {name!r}: expected to begin at byte {end} of the data, where the "
                f"last one ends, found {begin}"
            )
        tensors[name] = Stored(path, kind, shape, first + begin)
        end = stop
    if end != size - first:
        raise ValueError(
            f"{path}: expected {end} bytes of tensors, found {size - first}; fetch it again"
        )
    return tensors


def _parse_header(path: Path, text: bytes) -> dict[str, dict]:
    def unique(pairs):
        values = dict(pairs)
        if len(values) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ValueError(f"key {twice!r} occurs twice")
        return values

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: not a safetensors file: its header is not JSON ({error})"
        ) from None
    if not isinstance(header, dict):
        raise ValueError(f"{path}: header: expected a JSON object, found {type(header).__name__}")
    header.pop("__metadata__", None)
    return header


def _offsets(path: Path, name: str, entry: object) -> list[int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(
            f"{path}: tensor {name!r}: key 'data_offsets': expected two byte counts, "
            f"found {str(offsets)[:80]}"
        )
    return offsets


def _check_entry(path: Path, name: str, entry: dict) -> tuple[str, tuple[int, ...], list[int]]:
    kind, shape, offsets = entry.get("dtype"), entry.get("shape"), entry["data_offsets"]
    where = f"{path}: tensor {name!r}"
    if not isinstance(kind, str) or kind not in _BITS:
        raise ValueError(
            f"{where}: key 'dtype': expected one of {', '.join(sorted(_BITS))}, found {kind!r}"
        )
    if not _are_counts(shape):
        raise ValueError(f"{where}: key 'shape': expected a list of sizes, found {str(shape)[:80]}")
    expected, found = -(-math.prod(shape) * _BITS[kind] // 8), offsets[1] - offsets[0]
    if expected != found:
        raise ValueError(
            f"{where}: expected {expected} bytes for {kind} {shape}, found {found} in data_offsets"
        )
    return kind, tuple(shape), offsets


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


@dataclass(frozen=True)
class Pending:
    """A tensor to be written; ``values`` is called once, when the tensor is written."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    values: Callable[[], np.ndarray]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def write_file(path: Path, tensors: list[Pending]) -> None:
    """Write one safetensors file completely or not at all, with one tensor in memory at a time.

    Raises:
      ValueError: a tensor has a type that these files do not hold.
    """
    kinds = {dtype: kind for kind, dtype in FLOATS.items()}
    header: dict = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        if tensor.dtype not in kinds:
            expected = ", ".join(str(dtype) for dtype in kinds)
            raise ValueError(f"{path}: {tensor.name}: expected {expected}, found {tensor.dtype}")
        begin, end = end, end + tensor.bytes
        header[tensor.name] = {
            "dtype": kinds[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of 8 bytes
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            values = np.asarray(tensor.values(), tensor.dtype)
            if values.shape != tensor.shape:
                raise ValueError(
                    f"{path}: {tensor.name}: expected shape {tensor.shape}, found {values.shape}"
                )
            file.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
