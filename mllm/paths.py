"""Paths as people write them: ``~`` and variables expanded, and no address taken for a folder."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")  # two letters at least: "C:/" is a disk
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_MOUNTS = {
    "gs": "gcsfuse BUCKET FOLDER (docs/tpu.md)",
    "s3": "mount-s3 BUCKET FOLDER",
    **dict.fromkeys(("az", "abfs", "abfss"), "blobfuse2 mount FOLDER"),
}
# Keys of a configuration that hold a path, besides those that end in _dir, _file or _path; in the
# section ``folders`` all do. A chat format is a path if it ends in .jinja.
_KEYS = {"pretrained", "file"}


def local_path(written: str | os.PathLike) -> Path:
    """Return the path on this machine that somebody wrote.

    ``~``, ``~user``, ``$NAME`` and ``${NAME}`` are expanded, as a shell would have done where it
    sees them, and ``file://`` is dropped. A ``$`` in the name of a file that exists stays.

    Raises:
      ValueError: it is empty, is the address of a bucket or a server, or names a variable or a user
        that does not exist.
    """
    text = os.fspath(written)
    if not text:
        raise ValueError("the path is empty; is a variable of the shell not set?")
    if text.startswith("file://"):
        text = text.removeprefix("file://")
    elif (scheme := _SCHEME.match(text)) and not os.path.exists(text):
        raise ValueError(f"{text}: {_elsewhere(scheme[1].lower())}")
    if not os.path.exists(text):
        text = _VARIABLE.sub(lambda found: _value(found, text), text)
    expanded = os.path.expanduser(text)
    if expanded.startswith("~") and not os.path.exists(expanded):
        raise ValueError(f"{text}: no such user, or the home is not known; give the whole path")
    return Path(expanded)


def expand_paths(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the paths in a configuration that are written otherwise than this machine needs them.

    Args:
      values: a configuration, nested or with dotted keys.

    Returns:
      the expanded paths by dotted key.

    Raises:
      ValueError: one cannot be expanded; the message names its key.
    """
    changed = {}
    for key, value in _leaves(values):
        *above, last = key.split(".")
        named = last in _KEYS or last.endswith(("_dir", "_file", "_path")) or "folders" in above
        named = named or (last == "chat_format" and str(value).endswith(".jinja"))
        if named and isinstance(value, str) and value:
            try:
                path = local_path(value)
            except ValueError as error:
                raise ValueError(f"config.{key}: {error}") from None
            if path != Path(value):
                changed[key] = str(path)
    return changed


def _leaves(values: Mapping[str, Any], above: str = ""):
    """Yield (dotted key, value) of a nested mapping."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _elsewhere(scheme: str) -> str:
    if scheme in ("http", "https", "hf", "ftp"):
        return "an address on the network; download it, and give the folder or file on this machine"
    mount = _MOUNTS.get(scheme, "a tool for this kind of storage")
    return (
        "a bucket, expected a folder. A run appends to files, renames and locks them, which a "
        f"bucket cannot do by itself: mount it with {mount}, and give the folder"
    )


def _value(found: re.Match, text: str) -> str:
    name = found[1] or found[2]
    if name not in os.environ:
        raise ValueError(f"{text}: the environment has no variable {name}")
    return os.environ[name]
