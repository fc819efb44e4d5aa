"""The folder that a model takes from what it does not hold itself.

It is known by what it holds. Where it is, is only where to look first: studies are moved, and lie
below links.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from mllm.checkpoints.contents import below, comparing, difference, digests_of
from mllm.checkpoints.hf_folder import content_files, is_hf_folder
from mllm.checkpoints.orbax import steps_in
from mllm.checkpoints.record import RUN, read_record, small_files
from mllm.files import read_json

MODEL, WEIGHTS = "model.json", ".safetensors"
CHANGED = "Runs start from that model: put it back as it was, or train again into a new folder"


def describe_parent(parent: Path, folder: Path) -> dict:
    """Return how ``folder`` describes its parent: where it is, and what it holds."""
    parent, folder = parent.resolve(), folder.resolve()
    place = {"path": os.path.relpath(parent, folder), "absolute": str(parent)}
    record = read_record(parent)
    if record is not None and record.weights is not None:
        return {**place, "checkpoint_digest": record.weights}
    return {**place, "files": folder_content(parent)}


def folder_content(folder: Path) -> dict[str, str]:
    """Return the digests of the files that a model folder is read from, by name.

    Raises:
      FileNotFoundError, ValueError: it is no whole model; the message names the file.
    """
    record = read_record(folder)
    if record is not None and record.files:
        return dict(record.files)
    if not (folder / MODEL).is_file() and is_hf_folder(folder):
        return digests_of(content_files(folder))
    # From before there were records: files of its weights stand for the list of their digests.
    steps = steps_in(folder / "checkpoints")
    paths = (folder / "checkpoints" / str(max(steps))).rglob("*") if steps else ()
    names = [path.relative_to(folder).as_posix() for path in paths if path.is_file()]
    return {**small_files(folder), **digests_of(below(folder, sorted(names)))}


def content_paths(folder: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """Return where the files are that ``folder_content`` names."""
    known = content_files(folder) if is_hf_folder(folder) else {}
    return {**below(folder, names), **known}


def find_parent(folder: Path, described: dict | str, where: Path) -> Path:
    """Return the folder of a parent.

    Args:
      folder: that it is the parent of.
      described: by ``describe_parent``; only a path in folders from before parents were described.
      where: the file that holds this.

    Raises:
      FileNotFoundError: it is not where it was, nor next to ``folder``.
      ValueError: another model is there.
    """
    if isinstance(described, str):
        described = {"path": described}
    found = []
    for place in _places(folder, described):
        problem = _unlike(place, described, where)
        if not problem:
            return place
        found.append(problem)
    if found:
        raise ValueError(f"{found[0]}. {CHANGED}")
    expected = described.get("absolute", described["path"])
    missing = f"{where}: key 'parent': there is no folder {expected}"
    if "checkpoint_digest" in described:
        raise FileNotFoundError(
            f"{missing}, and no run next to {folder} has its weights; put the parent back there"
        )
    raise FileNotFoundError(
        f"{missing}; put it back there, or run the training command with "
        "--config.pretrained=FOLDER, which names where it is now"
    )


def has_parent(folder: Path) -> bool:
    """Return whether the parent of a folder is found, if it has one."""
    where = folder / MODEL
    described = read_json(where).get("parent")
    try:
        return described is None or bool(find_parent(folder, described, where))
    except (FileNotFoundError, ValueError):
        return False


def comparing_parent(
    parent: Path, described: dict | str, where: Path
) -> AbstractContextManager[None]:
    """Compare the weights of a parent that is no run while the body reads them; a run compares its
    own (see ``contents.comparing``).
    """
    recorded = {} if isinstance(described, str) else described.get("files", {})
    large = {name: digest for name, digest in recorded.items() if name.endswith(WEIGHTS)}
    return comparing(content_paths(parent, large), large, where, CHANGED)


def _places(folder: Path, described: dict) -> Iterator[Path]:
    """Yield the folders where a parent may be, the likeliest first."""
    path = described["path"]
    likely = [folder / path, Path(os.path.normpath(folder.absolute() / path))]
    likely += [folder.resolve() / path, Path(described.get("absolute", folder / path))]
    seen = {}
    for place in likely:
        if place.is_dir() and place.resolve() not in seen:
            seen[place.resolve()] = place
            yield place
    for around in dict.fromkeys((folder.absolute().parent, folder.resolve().parent)):
        for record in sorted(around.glob(f"*/{RUN}")):
            place = record.parent
            if place.resolve() in seen or "checkpoint_digest" not in described:
                continue
            seen[place.resolve()] = place
            if not _unlike(place, described, record):
                yield place


def _unlike(place: Path, described: dict, where: Path) -> str:
    """Return what is not as described in a folder that may be the parent, "" if nothing is.

    Weights of folders that are no runs are compared while they are read.
    """
    if "checkpoint_digest" in described:
        try:
            record = read_record(place)
        except ValueError as error:
            return str(error)
        found, wanted = record and record.weights, described["checkpoint_digest"]
        if found == wanted:
            return ""
        held = "no finished run" if found is None else f"weights {found[:12]}"
        return f"{place}: holds {held}, expected weights {wanted[:12]}, which {where} names"
    recorded = described.get("files", {})
    small = {name: digest for name, digest in recorded.items() if not name.endswith(WEIGHTS)}
    return difference(content_paths(place, small), small, where)
