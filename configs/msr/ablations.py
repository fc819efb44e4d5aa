"""Recommenders of ``tiny`` with one part taken away or changed, each taught and asked so.

python -m experiments.sweep --config configs/msr/ablations.py --workdir runs/msr-ablations
"""

from ml_collections import ConfigDict

from configs.msr import tiny

get_config = tiny.get_config
BLOCKS = (1, 2, 4, 5, 6)  # besides 3
# The summariser of each is taught with its prompts.
CHANGED = {
    "no_picture": {"prompts.candidate": ("title",)},
    "no_title": {"prompts.candidate": ("picture",), "prompts.history": ("summary",)},
    "no_summary": {"prompts.history": ("title",)},
    "direct": {"preferences.form": "direct"},
    **{f"block_{size}": {"preferences.block": size} for size in BLOCKS},
}


def sweep(config: ConfigDict):
    """Yield the recommender as it is, then each variant, then what brackets them."""
    yield {"objective.name": "recommender"}
    for name, changes in CHANGED.items():
        named = {"objective.variant": name, "summariser.variant": name}
        yield {"objective.name": "recommender", **named, **changes}
    for name in ("bayes", "random"):
        yield {"objective.name": name}
