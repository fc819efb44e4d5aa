"""Run one entry point with --dry_run for each line of arguments on standard input, in one process.

Prints a line of JSON for each: {"arguments", "output", "error"}.
"""

import contextlib
import importlib
import io
import json
import shlex
import sys

from absl import flags

from experiments import common


def run(verb, arguments: list[str]) -> dict:
    """Return what a command prints, and its error."""
    sys.argv = [verb.__name__, *arguments, "--dry_run"]
    flags.FLAGS.unparse_flags()
    for name in [name for name in flags.FLAGS if "." in name]:  # overrides of the command before
        delattr(flags.FLAGS, name)
    output, error = io.StringIO(), ""
    with contextlib.redirect_stdout(output):
        try:
            common._parse(sys.argv)
            verb.main([])
        except (ValueError, FileNotFoundError) as found:
            error = str(found)
    return {"arguments": arguments, "output": output.getvalue(), "error": error}


if __name__ == "__main__":
    chosen = importlib.import_module(f"experiments.{sys.argv[1]}")
    for line in sys.stdin:
        print(json.dumps(run(chosen, shlex.split(line))), flush=True)
