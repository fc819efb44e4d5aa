"""Runs of one method from the same weights, for ``experiments.bench.together``.

The argument is KL minimisation at so many learning rates: ``:runs=4``.
"""

from configs.mllmu import tiny

METHOD = "kl_min"


def get_config(arg: str = ""):
    name, _, count = arg.partition("=")
    if arg and (name != "runs" or not count.isdigit() or int(count) < 2):
        raise ValueError(f"together takes runs=N with N of 2 or more, got {arg!r}")
    config = tiny.get_config()
    config.bench_runs = int(count or 4)
    return config


def sweep(config):
    """Yield learning rates from half the chosen one to twice that."""
    rate = config.methods[METHOD].learning_rate
    for number in range(config.bench_runs):
        yield {
            "objective.name": METHOD,
            "objective.variant": f"rate{number}",
            f"methods.{METHOD}.learning_rate": rate * 4 ** (number / (config.bench_runs - 1) - 0.5),
        }
