"""The recommender of ``tiny`` and what it is measured against, with three seeds.

python -m experiments.sweep --config configs/msr/seeds.py --workdir runs/msr-seeds
"""

from ml_collections import ConfigDict

from configs.msr import tiny

get_config = tiny.get_config
SEEDS = (0, 1, 2)
NAMES = ("recommender", "zero_shot", "popularity", "sasrec", "bayes")


def sweep(config: ConfigDict):
    """Yield each of them with each seed; the data stay the same."""
    for seed in SEEDS:
        for name in NAMES:
            yield {"seed": seed, "objective.name": name}
