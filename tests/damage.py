"""Ways to break a folder of a model, each a function of the folder."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

INDEX = "model.safetensors.index.json"
Damage = Callable[[Path], object]
MISSING = object()


def both(*damages: Damage) -> Damage:
    """One after the other."""
    return lambda folder: [damage(folder) for damage in damages]


def remove(*names: str) -> Damage:
    """Without some files."""
    return lambda folder: [(folder / name).unlink() for name in names]


def text(name: str, content: str) -> Damage:
    """A file of other content."""
    return lambda folder: (folder / name).write_text(content)


def setting(name: str, key: str, value: object) -> Damage:
    """A JSON file with another value at a dotted key, or with none where it is ``MISSING``."""

    def damage(folder: Path):
        content = json.loads((folder / name).read_text())
        *above, last = key.split(".")
        section = content
        for part in above:
            section = section.setdefault(part, {})
        if value is MISSING:
            section.pop(last)
        else:
            section[last] = value
        (folder / name).write_text(json.dumps(content))

    return damage


def config(key: str, value: object) -> Damage:
    """Another value in config.json."""
    return setting("config.json", key, value)


def shard_of(folder: Path, name: str) -> Path:
    """The file that holds a tensor."""
    return folder / json.loads((folder / INDEX).read_text())["weight_map"][name]


def tensor(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """Other values of a tensor."""

    def damage(folder: Path):
        path = shard_of(folder, name)
        tensors = load_file(path)
        save_file({**tensors, name: np.ascontiguousarray(change(tensors[name].copy()))}, path)

    return damage


def tensors(name: str, change: Callable[[dict], object]) -> Damage:
    """Other tensors in the file of ``name``; the index stays what it was."""

    def damage(folder: Path):
        path = shard_of(folder, name)
        held = load_file(path)
        change(held)
        save_file(held, path)

    return damage


def header(name: str, change: Callable[[dict], object]) -> Damage:
    """Another header in front of the data of a tensor's file."""

    def damage(folder: Path):
        path = shard_of(folder, name)
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        fields = json.loads(content[8 : 8 + length])
        change(fields)
        raw = json.dumps(fields).encode()
        path.write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + length :])

    return damage


def begin(name: str, content: bytes) -> Damage:
    """Other bytes at the beginning of a tensor's file."""

    def damage(folder: Path):
        path = shard_of(folder, name)
        path.write_bytes(content + path.read_bytes()[len(content) :])

    return damage


def cut(name: str, size: int) -> Damage:
    """Without the last bytes of a tensor's file."""
    return lambda folder: (p := shard_of(folder, name)).write_bytes(p.read_bytes()[:-size])
