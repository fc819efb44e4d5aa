"""What ``tiny`` compares, with three seeds.

python -m experiments.sweep --config configs/hear/seeds.py --workdir runs/hear-seeds
"""

from ml_collections import ConfigDict

from configs.hear import common, tiny

get_config = tiny.get_config
SEEDS = (0, 1, 2)


def sweep(config: ConfigDict):
    """Yield each method with each seed, and the controls with the first; the data stay the same."""
    for seed in SEEDS:
        for name in (*config.methods, *(common.CONTROLS if seed == SEEDS[0] else ())):
            yield {"seed": seed, "objective.name": name}
