"""What ``tiny`` compares, with three seeds.

python -m experiments.sweep --config configs/hear/seeds.py --workdir runs/hear-seeds
"""

from ml_collections import ConfigDict

from configs.hear import common, tiny

get_config = tiny.get_config
SEEDS = (0, 1, 2)


def sweep(config: ConfigDict):
    """Yield each method with each seed, what its language model knew before, and the other controls
    with the first seed; the data stay the same.
    """
    for seed in SEEDS:
        controls = common.CONTROLS if seed == SEEDS[0] else ("before",)
        for name in (*config.methods, *controls):
            yield {"seed": seed, "objective.name": name}
