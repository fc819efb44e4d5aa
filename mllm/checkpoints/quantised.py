"""Read quantised Hugging Face folders: 8-bit matrices as floats, others are refused by name.

A matrix of codes [out, in], FP8 or int8, times its scales gives the weights. The scales are one for
the matrix, one for each row, or one for each block: ``weight_scale_inv`` in transformers' FP8,
``weight_scale`` in FBGEMM's FP8 and in compressed-tensors, and ``SCB`` in bitsandbytes, where it is
the largest absolute value of a row, which the code 127 stands for.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mllm.checkpoints.tables import IGNORED
from mllm.checkpoints.tensor_files import CODES, FLOATS, TensorFiles, open_folder
from mllm.files import read_json

KEY = "quantization_config"
# Files in which older quantisers keep what newer ones write into config.json.
_OLDER = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
# Ends of tensor names -> who writes such names.
_WRITERS = {
    r"\.quant_state\.bitsandbytes__\w+": "bitsandbytes, 4 bits",
    r"\.SCB": "bitsandbytes, 8 bits",
    r"\.g_idx": "GPTQ",
    r"\.qweight": "AWQ or GPTQ",
    r"\.weight_packed": "compressed-tensors",
    r"\.W_q": "HQQ",
    r"\.codebooks": "AQLM",
    r"_blocks": "MXFP4",
}
_SCALES = {"weight_scale_inv": 1.0, "weight_scale": 1.0, "SCB": 1 / 127}  # name -> unit
# Scales of activations and of cached keys and values, which change no weight.
_OF_ACTIVATIONS = re.compile(
    r".*\.((in|out)put_(scale|zero_point|global_scale)|activation_scale(_ub)?|[qkv]_scale)"
)


@dataclass(frozen=True)
class _Matrix:
    """Where the scales of a matrix of codes lie.

    Attributes:
      scale, zero: names of the tensors of scales and of zero points, None without these.
      unit: what a scale is multiplied with.
      block: rows and columns that share a scale.
    """

    scale: str | None
    zero: str | None
    unit: float
    block: tuple[int, int]


class Dequantised(TensorFiles):
    """The tensors of a folder whose 8-bit matrices are read as floats; scales are not listed."""

    def __init__(self, files: TensorFiles, matrices: Mapping[str, _Matrix], dtype: np.dtype):
        self.where, self._stored = files.where, files._stored  # the headers are checked already
        self._matrices, self._dtype = matrices, dtype
        hidden = {part for m in matrices.values() for part in (m.scale, m.zero)}
        self._listed = {
            name: None
            for name in files
            if name not in hidden
            and not _OF_ACTIVATIONS.fullmatch(name)
            and not name.endswith(".weight_format")
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __contains__(self, name: str) -> bool:
        return name in self._listed

    def __len__(self) -> int:
        return len(self._listed)

    def dtype(self, name: str) -> np.dtype:
        return self._dtype if name in self._matrices else super().dtype(name)

    def read(self, name: str, index: tuple[slice, ...] = ()) -> np.ndarray:
        if name not in self._matrices:
            return super().read(name, index)
        matrix, shape = self._matrices[name], self.shape(name)
        values = self.read_codes(name, index).astype(np.float32)
        if matrix.zero is not None:
            values -= self._spread(matrix.zero, matrix.block, shape, index)
        if matrix.scale is not None:
            values *= self._spread(matrix.scale, matrix.block, shape, index) * matrix.unit
        return self.require_finite(name, values.astype(self._dtype))

    def _spread(self, name: str, block, shape, index) -> np.ndarray:
        """Return the scale of each element of a part of the matrix."""
        grid = self.read_codes(name).astype(np.float32)
        grid = grid.reshape(tuple(map(_ceil, shape, block)))
        parts = (*index, *[slice(None)] * (2 - len(index)))
        rows, columns = (
            np.arange(*part.indices(size)) // step
            for part, size, step in zip(parts, shape, block, strict=True)
        )
        return grid[rows][:, columns]


def open_weights(folder: Path, config: Mapping[str, Any]) -> TensorFiles:
    """Open the weights of a Hugging Face folder, with 8-bit matrices as floats.

    Args:
      config: the content of its config.json.

    Raises:
      FileNotFoundError, ValueError: as ``open_folder``; or the weights are quantised in another
        form, which the message names.
    """
    files = open_folder(folder)
    where, settings = _settings(Path(folder), config)
    odd = [name for name in files if _is_odd(files, name)]
    if not odd:
        return files
    matrices = _find_matrices(files, settings)
    opened = Dequantised(files, matrices, _float_of(files, config))
    left = [name for name in opened if name in odd and name not in matrices]
    writer = settings.get("quant_method") or _writer_of(files)
    if left and writer:
        four = 4 if settings.get("load_in_4bit") else None
        bits = settings.get("bits") or settings.get("w_bit") or four
        raise ValueError(
            f"{where}: the weights are quantised ({writer}{f', {bits} bits' if bits else ''}), "
            f"found tensor {left[0]!r} of {files.kind(left[0])} in {files.path(left[0]).name}, "
            "expected floats, or matrices of FP8 or int8 with scales; take the folder of the model "
            "that was quantised, or write one with transformers: AutoModelForImageTextToText"
            ".from_pretrained(FOLDER).dequantize(), then save_pretrained(NEW)"
        )
    if not matrices:
        return files
    print(
        f"{where}: {len(matrices)} matrices of 8 bits ({writer or 'FP8'}) are read as "
        f"{opened.dtype(next(iter(matrices)))}, activations are not quantised",
        file=sys.stderr,
    )
    return opened


def _is_odd(files: TensorFiles, name: str) -> bool:
    """Return whether a tensor is no plain array of weights."""
    codes = files.kind(name) not in FLOATS and not IGNORED.search(name)
    return codes or name.rpartition(".")[2] in _SCALES


def without_quantisation(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config.json that describes the weights as they are read."""
    plain = {key: value for key, value in config.items() if key not in _KEYS}
    return {
        key: without_quantisation(value) if isinstance(value, dict) else value
        for key, value in plain.items()
    }


_KEYS = (KEY, "compression_config")


def _settings(folder: Path, config: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Return (file, what it says of the quantisation, {} if nothing)."""
    for section in _sections(config):
        for key in _KEYS:
            if isinstance(section.get(key), dict):
                return folder / "config.json", section[key]
    for name in _OLDER:
        if (folder / name).is_file():
            return folder / name, read_json(folder / name)
    return folder, {}


def _sections(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    text = config.get("text_config")
    return [config, text] if isinstance(text, dict) else [config]


def _writer_of(files: TensorFiles) -> str | None:
    for pattern, writer in _WRITERS.items():
        if any(re.search(f"{pattern}$", name) for name in files):
            return writer
    return None


def _find_matrices(files: TensorFiles, settings: Mapping[str, Any]) -> dict[str, _Matrix]:
    """Return the matrices of codes whose weights follow from scales."""
    found = {}
    if settings.get("transform_config"):
        return found  # rotated weights
    for name in files:
        stem, _, leaf = name.rpartition(".")
        kind, shape = files.kind(name), files.shape(name)
        if leaf != "weight" or kind not in ("F8_E4M3", "F8_E5M2", "I8") or len(shape) != 2:
            continue
        scale = next((s for s in _SCALES if f"{stem}.{s}" in files), None)
        if scale is None:
            if not settings and kind != "I8":  # plain numbers of a small type
                found[name] = _Matrix(None, None, 1.0, shape)
            continue
        held = f"{stem}.{scale}"
        block = _block(shape, files.shape(held), settings)
        if block is None or not _is_number(files, held) or not _in_rows(files, stem):
            continue
        zero = f"{stem}.weight_zero_point"
        zero = zero if zero in files else None
        if zero is None or (files.shape(zero) == files.shape(held) and files.kind(zero) == "I8"):
            found[name] = _Matrix(held, zero, _SCALES[scale], block)
    return found


def _block(shape, grid, settings: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return how many rows and columns share a scale, None if the sizes do not fit."""
    rows, columns = (*grid, *(1,) * (2 - len(grid))) if len(grid) <= 2 else (0, 0)
    size = settings.get("weight_block_size")
    named = isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size)
    if named and min(size) > 0 and (rows, columns) == tuple(map(_ceil, shape, size)):
        return tuple(size)
    if not rows or not columns or shape[0] % rows or shape[1] % columns:
        return None
    return shape[0] // rows, shape[1] // columns


def _ceil(size: int, step: int) -> int:
    return -(-size // step)


def _is_number(files: TensorFiles, name: str) -> bool:
    return files.kind(name) in FLOATS or files.kind(name) == "F8_E8M0"


def _in_rows(files: TensorFiles, stem: str) -> bool:
    """Return whether bitsandbytes stored the codes row by row, not in a GPU's order."""
    name = f"{stem}.weight_format"
    return name not in files or (files.kind(name) in CODES and not files.read_codes(name).any())


def _float_of(files: TensorFiles, config: Mapping[str, Any]) -> np.dtype:
    """Return the dtype of the weights that were quantised: as config.json says, else bfloat16."""
    for section in _sections(config):
        for key in ("dtype", "torch_dtype"):
            for dtype in FLOATS.values():
                if str(section.get(key)).removeprefix("torch.") == dtype.name:
                    return dtype
    return FLOATS["BF16"]
