"""What is measured of a model itself besides its replies, kept in a file next to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mllm.files import is_sealed, read_json, seal, without_seal, write_json

OPTIONS = "options"


@dataclass(frozen=True)
class Inspection:
    """A measurement of a model of this codebase.

    Attributes:
      name: of its file, ``<name>.json``.
      measure: returns JSON values, by name, given the model (``runner.LocalModel``).
      options: JSON values that they follow from besides the model and the manifest of the
        evaluation.
    """

    name: str
    measure: Callable[[Any], Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)


def write_inspection(
    folder: Path, inspection: Inspection, found: Mapping[str, Any], manifest: Mapping[str, Any]
) -> None:
    """Write what ``read_inspection`` reads.

    Args:
      folder: of the evaluation. manifest: what the evaluation follows from.
    """
    value = {**found, OPTIONS: dict(inspection.options)}
    write_json(folder / f"{inspection.name}.json", seal(value, dict(manifest)))


def read_inspection(folder: Path, name: str, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what was measured, with the options; None where nothing was, the file was changed, or
    it belongs to another manifest.
    """
    try:
        found = read_json(folder / f"{name}.json")
    except (FileNotFoundError, ValueError):
        return None
    sealed = isinstance(found, Mapping) and is_sealed(found, dict(manifest))
    return without_seal(found) if sealed and OPTIONS in found else None
