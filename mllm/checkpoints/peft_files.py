"""The tokenizer, image processor and chat template that an adapter's folder has of its own."""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mllm.checkpoints.small_files import read_small_files

_TOKENIZER = (
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
)
_PROCESSOR = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
_TEMPLATES = ("chat_template", "additional_chat_templates/")


def own_files(folder: Path) -> dict[str, bytes]:
    """Return the files of an adapter's folder that take the place of those below it.

    Raises:
      FileNotFoundError, ValueError: as ``read_small_files``.
    """
    return {
        name: content
        for name, content in read_small_files(folder).items()
        if name in (*_TOKENIZER, *_PROCESSOR) or name.startswith(_TEMPLATES)
    }


def overlay(below: Mapping[str, bytes], own: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the small files of a model with those of its adapter's folder.

    A tokenizer is taken with all of its files, and so are chat templates.
    """
    replaced = _TOKENIZER if "tokenizer.json" in own else ()
    templates = any(name.startswith(_TEMPLATES) for name in own)
    if templates or b'"chat_template"' in own.get("tokenizer_config.json", b""):
        replaced = (*replaced, *(name for name in below if name.startswith(_TEMPLATES)))
    kept = {name: content for name, content in below.items() if name not in replaced}
    return {**kept, **own}


@contextlib.contextmanager
def as_folder(files: Mapping[str, bytes], named: str) -> Iterator[Path]:
    """Give a temporary folder of files; errors name ``named`` in its place."""
    with tempfile.TemporaryDirectory(prefix="mllm") as temporary:
        for name, content in files.items():
            path = Path(temporary) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        try:
            yield Path(temporary)
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(str(error).replace(temporary, named)) from None
