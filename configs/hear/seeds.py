"""What ``tiny`` compares, with three seeds.

python -m experiments.sweep --config configs/hear/seeds.py --workdir runs/hear-seeds
"""

from ml_collections import ConfigDict

from configs.hear import tiny

get_config = tiny.get_config
SEEDS = (0, 1, 2)


def sweep(config: ConfigDict):
    """Yield each method with each seed; the data stay the same, all weights are taught anew."""
    for seed in SEEDS:
        for name in config.methods:
            yield {"seed": seed, "objective.name": name}
