"""Where an evaluation lies: a folder for each protocol, form of the model and set of options.

``eval/<protocol>/<part>`` belongs to the options that a run was first evaluated under. Others lie
next to it, in ``eval/<protocol>@<digest>/<part>``, so that no evaluation overwrites another.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mllm.files import read_sealed
from mllm.ops.kv import FORMS as KV_FORMS

MANIFEST = "manifest.json"
SCORING = "scoring"  # the key of a manifest that says how replies are read and scored
FORMS = ("int8",)  # forms of weights other than as saved
# Keys of a manifest that belong to the model; all others are the conditions it was evaluated under.
OWN_KEYS = ("checkpoint_digest", "answerer")


def evaluation_name(protocol: str, weights: str = "", kv: str = "") -> str:
    """Return the name of a protocol with the form of the model, which folders and results carry.

    With int8 weights it is ``<protocol>-int8``, with int8 keys and values ``<protocol>-int8kv``, so
    that no report takes these scores for those of the model as saved.
    """
    return "-".join([protocol, *filter(None, (weights, kv and f"{kv}kv"))])


def without_options(name: str) -> str:
    """Return the name of an evaluation without the digest of its options."""
    return name.partition("@")[0]


def protocol_of(name: str) -> str:
    """Return the protocol of the name of an evaluation."""
    found = without_options(name)
    for form in (*(f"{kv}kv" for kv in KV_FORMS), *FORMS):
        found = found.removesuffix(f"-{form}")
    return found


def conditions(manifest: Mapping[str, Any], own: Iterable[str] = OWN_KEYS) -> dict[str, Any]:
    """Return what must be equal for two evaluations to be comparable: all but the model."""
    return {key: value for key, value in manifest.items() if key not in own}


def with_options(name: str, manifest: Mapping[str, Any], own: Iterable[str] = OWN_KEYS) -> str:
    """Return the name of an evaluation with the digest of its conditions."""
    text = json.dumps(conditions(manifest, own), sort_keys=True)
    return f"{without_options(name)}@{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of an evaluation, None where there is none or it was changed."""
    try:
        return read_sealed(folder / MANIFEST)
    except (FileNotFoundError, ValueError):
        return None


def find_folder(root: Path, name: str, part: str, manifest: Mapping[str, Any]) -> Path:
    """Return the folder of an evaluation below ``root``, which may not be there yet.

    Args:
      root: the folder ``eval`` of a run.
      name: of ``evaluation_name``.
      part: of a benchmark that is evaluated in several.
      manifest: JSON values, as they stand in a file.
    """
    wanted = conditions(manifest)
    plain, own = root / name / part, root / with_options(name, manifest) / part
    for folder in (plain, own):
        held = read_manifest(folder)
        if held is not None and conditions(held) == wanted:
            return folder
    return own if read_manifest(plain) is not None else plain
