"""Read safetensors files in parts, after checking every header, and write them tensor by tensor.

The format: https://huggingface.co/docs/safetensors. The ``safetensors`` library can also read
parts, but its errors do not name the tensor, and it needs all tensors of a file at once to write.
"""

import json
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np

from mllm.files import read_json, replacing

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
# The format's names for the types that our trees may hold; of other types only sizes are known.
FLOATS = {
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}
_LONGEST_HEADER = 100_000_000  # bytes; the limit of the format
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")


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

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the full shape of a tensor."""
        return self._stored[name].shape

    def dtype(self, name: str) -> np.dtype:
        """Return the dtype of a tensor: float32, float16 or bfloat16.

        Raises:
          ValueError: the tensor has another type.
        """
        stored = self._stored[name]
        if stored.kind not in FLOATS:
            raise ValueError(
                f"{stored.path}: tensor {name!r}: expected one of {', '.join(FLOATS)}, "
                f"found {stored.kind}; save the model in one of these"
            )
        return FLOATS[stored.kind]

    def read(self, name: str, index: tuple[slice, ...] = ()) -> np.ndarray:
        """Copy the part ``tensor[index]`` from the disk without reading the rest.

        Raises:
          ValueError: the tensor has an unsupported type, or the part holds NaN or infinity.
        """
        stored, dtype = self._stored[name], self.dtype(name)
        if math.prod(stored.shape) == 0:  # an empty tensor cannot be mapped
            return np.empty(stored.shape, dtype)[index]
        whole = np.memmap(stored.path, dtype, "r", offset=stored.start, shape=stored.shape)
        values = np.array(whole[index])
        if not np.isfinite(values).all():
            raise ValueError(
                f"{stored.path}: tensor {name!r} holds NaN or infinity; the file is damaged, or "
                "the run that wrote it diverged"
            )
        return values


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
    if (folder / SINGLE).is_file():
        return TensorFiles(folder / SINGLE, [_inside(folder, SINGLE, folder)])
    if not (folder / INDEX).is_file():
        pickled = sorted(p.name for p in folder.iterdir() if p.suffix in _PICKLED)
        found = (
            f"found {pickled[0]}, whose reading can run code; load it with transformers and write "
            "it with save_pretrained(folder, safe_serialization=True)"
            if pickled
            else "found neither"
        )
        raise FileNotFoundError(f"{folder}: expected {SINGLE} or {INDEX}, {found}")
    return _open_shards(folder, folder / INDEX)


def _open_shards(folder: Path, index: Path) -> TensorFiles:
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(s, str) for s in shards.values()):
        raise ValueError(f"{index}: key 'weight_map': expected tensor names with their file names")
    if not shards:
        raise ValueError(f"{index}: key 'weight_map': expected tensors, found none")
    files = TensorFiles(
        index, (_inside(folder, name, index) for name in sorted(set(shards.values())))
    )
    for name, shard in shards.items():
        if name not in files or files.path(name).name != shard:
            raise ValueError(f"{folder / shard}: tensor {name!r} is missing: {index} names it")
    for name in files:
        if name not in shards:
            raise ValueError(f"{files.path(name)}: tensor {name!r} is unexpected: not in {index}")
    return files


def _inside(folder: Path, name: str, where: Path) -> Path:
    """Return the path of a file in the folder.

    Links may lead into the folder itself, or to where the Hub's cache keeps its content.
    """
    path = folder / name
    if "/" in name or "\\" in name or "\0" in name or path.suffix != ".safetensors":
        raise ValueError(f"{where}: expected the plain name of a .safetensors file, found {name!r}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, {where} names it; fetch it again")
    home, target = folder.resolve(), path.resolve()
    if target.parent not in (home, home.parent.parent / "blobs"):
        raise ValueError(f"{path}: is a link out of its folder, to {target}; put a copy there")
    return path


def _read_header(path: Path) -> dict[str, Stored]:
    """Return the tensors of one file, after checking that they fill it without overlaps or gaps."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    size = path.stat().st_size
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
    if not isinstance(kind, str) or kind not in _BYTES:
        raise ValueError(
            f"{where}: key 'dtype': expected one of {', '.join(sorted(_BYTES))}, found {kind!r}"
        )
    if not _are_counts(shape):
        raise ValueError(f"{where}: key 'shape': expected a list of sizes, found {str(shape)[:80]}")
    expected, found = math.prod(shape) * _BYTES[kind], offsets[1] - offsets[0]
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
