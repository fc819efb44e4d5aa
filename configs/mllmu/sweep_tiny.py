"""The demo: every anchor and every method of the paper on one forget split, one seed.

python -m experiments.sweep --config configs/mllmu/sweep_tiny.py --workdir runs/demo
python -m experiments.sweep --config configs/mllmu/sweep_tiny.py:seeds=3,forget=5+10+15
--workdir runs/sweep
"""

from configs.mllmu import tiny

METHODS = (
    "base",
    "vanilla",
    "retain_only",
    "prompting",  # trains nothing: it is asked while the next one trains
    "ga",
    "grad_diff",
    "kl_min",
    "npo",
)


def get_config(arg: str = ""):
    config = tiny.get_config()
    options = dict(part.split("=") for part in arg.split(",") if part)
    unknown = set(options) - {"seeds", "forget"}
    if unknown:
        raise ValueError(f"sweep_tiny takes seeds=N and forget=5+10+15, got {sorted(unknown)}")
    config.sweep_seeds = int(options.get("seeds", 1))
    config.sweep_forget = tuple(int(n) for n in options.get("forget", "15").split("+"))
    return config


def sweep(config):
    """Yield the overrides of the runs, in order: seeds x forget splits x methods."""
    for seed in range(config.sweep_seeds):
        for forget in config.sweep_forget:
            for name in METHODS:
                yield {"seed": seed, "benchmark.forget": forget, "objective.name": name}
