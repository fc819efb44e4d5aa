"""The small files of a Hugging Face folder, which travel with its model byte for byte."""

from pathlib import Path

from mllm.files import require_file

# Weights and states of training are no small files, whatever their size.
WEIGHTS = (
    ".bin",
    ".ckpt",
    ".gguf",
    ".h5",
    ".msgpack",
    ".npz",
    ".onnx",
    ".onnx_data",
    ".ot",
    ".pkl",
    ".pt",
    ".pth",
    ".safetensors",
)
INDEX = ".index.json"  # names the shards of weights
FOLDERS = ("additional_chat_templates",)
LARGEST = 64 * 2**20  # bytes; the largest published tokenizer.json has 34 MB


def read_small_files(folder: Path) -> dict[str, bytes]:
    """Return the content of every small file of a folder, by its path below the folder.

    These are all files of the folder itself that hold no weights, and those of ``FOLDERS``: what a
    later version of transformers adds is kept without being known here.

    Raises:
      FileNotFoundError, ValueError: one is a link that leads nowhere, or only the pointer or web
        page that a download left in its place.
    """
    paths = [
        path
        for below in (folder, *(folder / name for name in FOLDERS))
        if below.is_dir()
        for path in sorted(below.iterdir())
    ]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if _is_small(path)
    }


def _is_small(path: Path) -> bool:
    if path.suffix in WEIGHTS or path.name.endswith(INDEX) or path.is_dir():
        return False
    if not path.name.startswith(".") and path.suffix not in (".html", ".htm"):
        require_file(path)
    return path.is_file() and path.stat().st_size <= LARGEST
