"""Arrays that a run computes once and keeps in a file, so that a resumed run computes none."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mllm.files import replacing
from mllm.parallel.launch import is_first, require_same, wait_for_all
from mllm.training.progress import tell

Arrays = Mapping[str, np.ndarray]
_DIGEST = "depends_on"  # the entry of a file that is not one of its arrays


def kept_arrays(
    path: Path, depends_on: str, fits: Callable[[Arrays], bool], compute: Callable[[], Arrays]
) -> Arrays:
    """Return named arrays from a file, or compute them on every process and write it.

    Args:
      depends_on: digest of all that they follow from; arrays of another one, or that are not as
        they were written, are computed again.
      fits: whether arrays have the names, types and shapes that are asked for.
      compute: returns such arrays, of any name but "depends_on".
    """
    wait_for_all(f"{path} is looked for")
    if path.is_file():
        found = _read(path, depends_on)
        if found is not None and not fits(found):
            found = None
        require_same(str(path), "none" if found is None else _digest(found, depends_on))
        if found is not None:
            return found
        tell(f"{path}: is damaged or of another run; its values are computed again")
    found = compute()
    if is_first():
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **found, **{_DIGEST: _digest(found, depends_on)})
    return found


def _read(path: Path, depends_on: str) -> Arrays | None:
    """Return the arrays of a file if they are whole, and follow from ``depends_on``."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            found = dict(kept)
        bound = str(found.pop(_DIGEST))
    except (ValueError, KeyError, OSError, EOFError, zlib.error, zipfile.BadZipFile):
        return None
    digests = (_digest(found, depends_on), _digest_of_values(found, depends_on))
    return found if bound in digests else None


def _digest(arrays: Arrays, depends_on: str) -> str:
    """Return a digest of arrays with their names, together with that of what they follow from."""
    found = hashlib.sha256(depends_on.encode())
    for name in sorted(arrays):
        found.update(name.encode() + arrays[name].tobytes())
    return found.hexdigest()


def _digest_of_values(arrays: Arrays, depends_on: str) -> str:
    """Return the digest of files from before names were a part of it; they hold one array."""
    values = b"".join(array.tobytes() for array in arrays.values())
    return hashlib.sha256(depends_on.encode() + values).hexdigest()
