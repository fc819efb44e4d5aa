"""What ``tiny`` compares, with three seeds, and the controls with the first.

python -m experiments.sweep --config configs/photo/seeds.py --workdir runs/photo-seeds
"""

from ml_collections import ConfigDict

from configs.photo import tiny
from configs.photo.common import ALL, BRACKETS, CONTROLS

SEEDS = (0, 1, 2)


def get_config() -> ConfigDict:
    """Return ``tiny``, asked about every photograph of the split by the text of the options."""
    config = tiny.get_config()
    config.evaluation.update(photos=ALL, letters=0, critiques=0, looks=0)
    return config


def sweep(config: ConfigDict):
    """Yield each method with each seed; the data stay the same, all weights are taught anew."""
    for seed in SEEDS:
        for name in config.methods:
            yield {"seed": seed, "objective.name": name}
    for name in (*CONTROLS, *BRACKETS):
        yield {"seed": SEEDS[0], "objective.name": name}
