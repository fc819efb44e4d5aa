"""The file that --config names: found by its path, run, and asked for its configuration."""

import importlib.util
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType

from absl import flags
from ml_collections import ConfigDict

from mllm.paths import local_path

ROOT = Path(__file__).parent.parent


class ConfigParser(flags.ArgumentParser):
    """Make the configuration of ``PATH`` or ``PATH:ARGUMENT``; a path may hold colons itself."""

    def parse(self, argument: str) -> ConfigDict:
        """Return ``get_config()`` of the file, or ``get_config(ARGUMENT)``, locked.

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: the file cannot be run, or makes no configuration.
        """
        path, arguments = split(argument)
        module = load_module(path)
        if not hasattr(module, "get_config"):
            raise ValueError(f"{path}: has no function get_config(), which makes a configuration")
        try:
            config = module.get_config(*arguments)
        except Exception as error:
            raise _fault(path, error) from None
        if not isinstance(config, ConfigDict):
            found = type(config).__name__
            raise ValueError(f"{path}: get_config() returned {found}, expected a ConfigDict")
        config.lock()
        return config


def split(argument: str) -> tuple[Path, list[str]]:
    """Return the path, and the argument after a colon if there is one.

    The path is the longest beginning that is a file: one of the working directory or, below
    ``configs``, one of this checkout.

    Raises:
      FileNotFoundError: there is none.
      ValueError: the path cannot be expanded.
    """
    parts = argument.split(":")
    for count in range(len(parts), 0, -1):
        written = ":".join(parts[:count])
        if "://" not in written and (path := _found(local_path(written))) is not None:
            rest = ":".join(parts[count:])
            return path, [rest] if count < len(parts) else []
    path = local_path(argument if "://" in argument else parts[0])
    what = "is a folder" if path.is_dir() else "no such file"
    raise FileNotFoundError(f"--config {path}: {what}; name a .py file, such as those of configs/")


def _found(path: Path) -> Path | None:
    """Return the file that a path names, None if there is none."""
    ours = [ROOT / path] if path.parts[:1] == ("configs",) else []
    return next((place for place in (path, *ours) if place.is_file()), None)


def load_module(path: Path) -> ModuleType:
    """Run a Python file and return its module.

    Raises:
      ValueError: it is no Python, or raises an error; the message names file and line.
    """
    _import_configs()
    spec = importlib.util.spec_from_file_location("config_file", path)
    if spec is None:
        raise ValueError(f"{path}: expected a .py file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _fault(path, error) from None
    return module


def _import_configs() -> None:
    """Import the package ``configs`` of this checkout, though the working directory may have a
    folder of that name; modules that only that folder holds are found after ours.
    """
    sys.path.insert(0, str(ROOT))
    try:
        import configs
    finally:
        sys.path.remove(str(ROOT))
    configs.__path__ = pkgutil.extend_path(configs.__path__, configs.__name__)


def _fault(path: Path, error: Exception) -> Exception:
    """Return what to raise for an error in a config file: itself if it has a message for users."""
    if type(error) in (ValueError, FileNotFoundError):
        return error
    if isinstance(error, SyntaxError):
        places = [(error.filename or "", error.lineno)]
    else:
        frames = traceback.extract_tb(error.__traceback__)
        places = [(frame.filename, frame.lineno) for frame in reversed(frames)]
    where = next((line for name, line in places if Path(name).resolve() == path.resolve()), None)
    line = "" if where is None else f", line {where}"
    return ValueError(f"{path}{line}: {type(error).__name__}: {error}")
