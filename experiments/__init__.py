"""The commands, one a file: ``python -m experiments.NAME``."""

import pkgutil
import sys

__path__ = pkgutil.extend_path(__path__, __name__)  # a working directory may have more of them

# While Python looks for the module that -m names, this is the first argument. A command can be
# stopped from here on: the imports take seconds.
if sys.argv[:1] == ["-m"]:
    from experiments import stopping

    stopping.listen()
