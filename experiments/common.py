"""What every entry point shares: flags, configuration, and how mistakes are reported."""

import atexit
import contextlib
import os
import re
import resource
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from experiments import config_file, stopping
from experiments.refusals import refusal
from mllm.checkpoints.contents import Verification
from mllm.parallel import launch
from mllm.paths import expand_paths, local_path
from mllm.training.compiled import COMPILED, keep_programs
from mllm.training.diverged import Diverged

# Libraries log much at level INFO; what a user should see is printed.
logging.set_verbosity(logging.WARNING)

CONFIG = config_flags.DEFINE_config_file("config", help_string="configs/….py; --config.key=value")
flags.FLAGS["config"].parser = config_file.ConfigParser()
VERIFY_WEIGHTS = flags.DEFINE_enum(
    "verify_weights",
    "on",
    ["on", "off"],
    "compare weights with their recorded digests as they are read; off: results say so",
)
MISSING = "--config is missing; give a file of configs/, such as --config configs/NAME/tiny.py"

DRY_RUN = flags.DEFINE_bool("dry_run", False, "print what would be done, and write nothing")


def get_config() -> ConfigDict:
    """Return the configuration of the command line, its paths expanded.

    Raises:
      ValueError: no --config was given, or a path cannot be expanded.
    """
    if CONFIG.value is None:
        raise ValueError(MISSING)
    CONFIG.value.update_from_flattened_dict(expand_paths(CONFIG.value.to_dict()))
    return CONFIG.value


def config_path() -> Path:
    """Return the file that --config names, without the argument after the colon."""
    return config_file.split(config_flags.get_config_filename(flags.FLAGS["config"]))[0]


class _PathParser(flags.ArgumentParser):
    """Expand the path that a flag names; a bucket or an unknown variable is an error."""

    def __init__(self, name: str):
        self.name = name

    def parse(self, argument: str | Path) -> Path:
        try:
            return local_path(argument)
        except ValueError as error:
            raise ValueError(f"--{self.name}: {error}") from None

    def flag_type(self) -> str:
        return "path"


def define_path(name: str, help_string: str, *, required: bool = False) -> flags.FlagHolder:
    """Define a flag for a path, whose value is a Path or None."""
    serializer = flags.ArgumentSerializer()
    return flags.DEFINE(
        _PathParser(name), name, None, help_string, serializer=serializer, required=required
    )


def define_workdir(help_string: str) -> flags.FlagHolder:
    """Define the flag --workdir, which is required."""
    return define_path("workdir", help_string, required=True)


def run(main: Callable[[list[str]], None], argument: str = "") -> None:
    """Join the other processes, parse the flags and call ``main``.

    Args:
      main: receives the name of the command, and its argument.
      argument: what the one argument is that is no flag; "" where there is none.

    A ValueError or FileNotFoundError is a mistake of the user, other OSErrors are the system's, and
    a run may have diverged: a message is printed, and the process exits with 2. Every other error
    is a fault of the code and keeps its traceback. A signal ends the process with 128 + its number,
    see ``experiments.stopping``.
    """
    _take_any_text()
    with stopping.unwinding():
        try:
            if any(word.lstrip("-") in ("help", "helpshort", "h", "?") for word in sys.argv[1:]):
                print(_help(), flush=True)
                return
            _start()
            app.run(partial(_whole, main), flags_parser=partial(_parse, argument=argument))
        except Exception as error:
            message = refusal(error, _folders())
            if message is None and isinstance(error, ValueError | OSError | Diverged):
                message = str(error)
            if message is None:
                raise
            _fail(message)


def _take_any_text() -> None:
    """Let standard output and error take every character, though their encoding may lack it, and
    every line, though the shell may have closed them.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="replace")


def _start() -> None:
    with contextlib.suppress(ValueError, OSError):  # take as many open files as the system allows
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    launch.initialize()
    stopping.handle()  # joining other processes may have taken the signals
    logging.get_absl_handler().addFilter(_is_not_raised_too)
    threading.excepthook = _thread_failed
    if jax.distributed.is_initialized() and not launch.is_first():
        stopping.be_quiet()
    if not any(word.lstrip("-") == "dry_run" for word in sys.argv[1:]):
        keep_programs()
    atexit.register(_report_costs)


def _whole(main: Callable[[list[str]], None], arguments: list[str]) -> None:
    """Call ``main``, and write out what it printed while an error can still be reported."""
    main(arguments)
    sys.stdout.flush()


def _fail(message: str) -> None:
    """Print an error and exit with 2: alone at once, because more errors of the same cause come
    from other threads and at the exit; among several processes in order, so that they part.
    """
    sys.stderr.write(f"error: {message}\n")
    if not jax.distributed.is_initialized():
        stopping.leave(2)
    sys.exit(2)


def _is_not_raised_too(record) -> bool:
    """Return whether to print a record: Orbax logs errors and stops with their traceback, and
    raises them.
    """
    error = record.exc_info[1] if record.exc_info else None
    return error is None or not (isinstance(error, stopping.Stopped) or refusal(error))


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """End the process where the system refuses something to a thread that nobody waits for, such as
    TensorBoard's: the others would wait for it.
    """
    message = refusal(failure.exc_value, _folders())
    if message is None:
        threading.__excepthook__(failure)
    else:
        sys.stderr.write(f"error: {message}\n")
        stopping.leave(2)


def _folders() -> list[Path]:
    """Return the folders that the command line names to write to."""
    names = ("workdir", "checkpoint", "to", "out", "export_parquet", "data_dir")
    defined = flags.FLAGS.flag_values_dict()
    return [Path(defined[name]) for name in names if defined.get(name)]


def _report_costs() -> None:
    """Print what compiling took, and the peak of a device that reports its memory."""
    compiled = COMPILED.counts()
    if compiled["programs"] and launch.is_first():
        print(
            f"compiled {compiled['programs']} programs in {compiled['seconds']} s, "
            f"{compiled['hits']} of them read from disk",
            file=sys.stderr,
        )
        stats = jax.local_devices()[0].memory_stats() or {}
        if "peak_bytes_in_use" in stats:
            peak = stats["peak_bytes_in_use"]
            print(f"peak of device memory: {peak / 1e9:.2f} GB", file=sys.stderr)


def _parse(arguments: list[str], argument: str = "") -> list[str]:
    """Parse the flags and return the words that are none, the name of the command first.

    Raises:
      ValueError: a flag or a key of the configuration is unknown, or a value is of another type; or
        there is not the one ``argument``, or any where that is "".
    """
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        why = str(error.__context__)
        ours = why.startswith("--") or str(error).startswith(f"flag --{CONFIG.name}=")
        given = [word.partition("=")[0].lstrip("-") for word in arguments]
        if CONFIG.name not in given and any(n.startswith(f"{CONFIG.name}.") for n in given):
            why, ours = MISSING, True
        raise ValueError(why if ours else error) from None
    except (KeyError, AttributeError) as error:  # what ConfigDict raises for an unknown key
        message = str(error.args[0])
        near = re.search(r'Did you mean "(.*?)" instead of "(.*?)"', message)
        hint = f"{near[2]!r}; did you mean {near[1]!r}?" if near else message.strip("'\"")
        raise ValueError(f"--config: unknown key {hint}") from None
    Verification.weights = VERIFY_WEIGHTS.value == "on"
    if argument and len(rest) != 2:
        raise ValueError(f"expected one argument, {argument}, found {rest[1:]}; see --help")
    if rest[1:] and not argument:
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
