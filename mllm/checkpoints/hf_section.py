"""Sections of a config.json, whose values have defaults and whose errors name the key."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


class Section:
    """A section of config.json with its defaults; every error names the file and the key."""

    def __init__(self, path: Path, name: str, values: object, defaults: Mapping[str, Any]):
        self.path, self.name = path, name
        if not isinstance(values, dict):
            raise ValueError(f"{path}: key {name!r}: expected an object, found {values!r}")
        self.values = {**defaults, **values}

    def error(self, key: str, expected: str) -> ValueError:
        """Return the error to raise about a key."""
        where = f"{self.name}.{key}" if self.name else key
        return ValueError(
            f"{self.path}: key {where!r}: expected {expected}, found {self.values.get(key)!r}"
        )

    def part(self, key: str, defaults: Mapping[str, Any]) -> "Section":
        """Return the section under a key."""
        return Section(self.path, key, self.values.get(key) or {}, defaults)

    def newest_part(self, key: str, defaults: Mapping[str, Any]) -> "Section":
        """Return the section under a key; where old files hold it a second time, as
        ``text_config_dict``, that one counts, as in transformers.
        """
        second = f"{key}_dict"
        return self.part(second if self.values.get(second) else key, defaults)

    def number(self, key: str, default: float | None = None, kind: type = int) -> Any:
        """Return a positive number."""
        value = self.values.get(key)
        value = default if value is None else value
        if type(value) not in (int, kind) or not 0 < value < math.inf:
            raise self.error(key, f"a positive {kind.__name__}")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "true or false")
        return value

    def choice(self, key: str, known: Mapping[str, Any]) -> Any:
        """Return the value that the name under a key stands for."""
        name = self.values.get(key)
        if not isinstance(name, str | None) or name not in known:
            raise self.error(key, f"one of {', '.join(sorted(filter(None, known)))}")
        return known[name]
