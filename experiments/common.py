"""What every entry point shares: flags, configuration, and how mistakes are reported."""

import atexit
import re
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from mllm.checkpoints.contents import Verification
from mllm.parallel import launch
from mllm.training.compiled import COMPILED, keep_programs

# Libraries log much at level INFO; what a user should see is printed.
logging.set_verbosity(logging.WARNING)

CONFIG = config_flags.DEFINE_config_file("config", help_string="configs/….py; --config.key=value")
VERIFY_WEIGHTS = flags.DEFINE_enum(
    "verify_weights",
    "on",
    ["on", "off"],
    "compare weights with their recorded digests as they are read; off: results say so",
)


def get_config() -> ConfigDict:
    """Return the configuration of the command line.

    Raises:
      ValueError: no --config was given.
    """
    if CONFIG.value is None:
        raise ValueError(
            "--config is missing; give a file of configs/, such as --config configs/NAME/tiny.py"
        )
    return CONFIG.value


def config_path() -> Path:
    """Return the file that --config names, without the argument after the colon."""
    return Path(config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0])


def define_workdir(help_string: str) -> flags.FlagHolder:
    """Define the flag --workdir, which is required."""
    return flags.DEFINE_string("workdir", None, help_string, required=True)


def run(main: Callable[[list[str]], None]) -> None:
    """Join the other processes, parse the flags and call ``main``.

    A ValueError or FileNotFoundError is a mistake of the user: its message is printed, and the
    process exits with 2. Every other error is a fault of the code and keeps its traceback.
    """
    if any(argument.lstrip("-") in ("help", "helpshort", "h", "?") for argument in sys.argv[1:]):
        print(_help())
        return
    try:
        launch.initialize()
        keep_programs()
        atexit.register(_report_compiled)
        app.run(main, flags_parser=_parse)
    except (ValueError, FileNotFoundError) as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)


def _report_compiled() -> None:
    compiled = COMPILED.counts()
    if compiled["programs"] and launch.is_first():
        print(
            f"compiled {compiled['programs']} programs in {compiled['seconds']} s, "
            f"{compiled['hits']} of them read from disk",
            file=sys.stderr,
        )


def _parse(arguments: list[str]) -> list[str]:
    """Parse the flags.

    Raises:
      ValueError: a flag or a key of the configuration is unknown, or a value is of another type.
    """
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        last = str(error).rstrip().rpartition("\n")[2]
        # An error of a config file comes with its traceback.
        ours = last.startswith("ValueError: ")
        raise ValueError(last.removeprefix("ValueError: ") if ours else error) from None
    except (KeyError, AttributeError) as error:  # what ConfigDict raises for an unknown key
        message = str(error.args[0])
        near = re.search(r'Did you mean "(.*?)" instead of "(.*?)"', message)
        hint = f"{near[2]!r}; did you mean {near[1]!r}?" if near else message.strip("'\"")
        raise ValueError(f"--config: unknown key {hint}") from None
    except OSError as error:  # --config names no file, and --config.key=value follows
        last = str(error).rstrip().rpartition("\n")[2].strip()
        raise FileNotFoundError(f"--config: {last}; see configs/") from None
    if CONFIG.present and not config_path().is_file():
        raise FileNotFoundError(f"--config {config_path()}: no such file; see configs/")
    Verification.weights = VERIFY_WEIGHTS.value == "on"
    if rest[1:]:
        raise ValueError(f"unexpected {rest[1:]}: give every value with a flag, see --help")
    return rest


def _help() -> str:
    """Return what the entry point does, and the flags of this project."""
    lines = [sys.modules["__main__"].__doc__.strip(), "", "Flags:"]
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module == sys.argv[0] or module.startswith("experiments."):
            lines += [f"  --{flag.name}: {flag.help}" for flag in defined]
    lines.append("  --config.KEY=VALUE: any key of the configuration, see configs/")
    return "\n".join(lines)


def say(text: str, **options) -> None:
    """Print a line, once for all processes."""
    if launch.is_first():
        print(text, flush=True, **options)


def note(text: str) -> None:
    """Print a line about progress to standard error, once for all processes."""
    say(text, file=sys.stderr)
