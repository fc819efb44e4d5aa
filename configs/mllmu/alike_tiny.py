"""Runs that can be trained as one program, which ``experiments.bench.together`` measures: one
method at four learning rates, or with ``:methods`` four methods that see the same rows.

    python -m experiments.sweep --config configs/mllmu/alike_tiny.py --config.together=4 \
        --workdir runs/alike
"""

from configs.mllmu import tiny

RATES = (0.5, 0.8, 1.25, 2.0)  # times the chosen one
METHODS = ("ga", "simnpo", "wga", "undial")


def get_config(arg: str = "rates"):
    if arg not in ("rates", "methods"):
        raise ValueError(f"alike_tiny takes rates or methods, got {arg!r}")
    config = tiny.get_config()
    config.sweep_over = arg
    return config


def sweep(config):
    """Yield the overrides of the runs."""
    if config.sweep_over == "methods":
        yield from ({"objective.name": name} for name in METHODS)
        return
    for number, factor in enumerate(RATES):
        yield {
            "objective.name": "kl_min",
            "objective.variant": f"rate{number}",
            "methods.kl_min.learning_rate": factor * config.methods.kl_min.learning_rate,
        }
