"""The fused model of ``tiny`` with one part taken away or changed, each taught and asked so.

python -m experiments.sweep --config configs/photo/ablations.py --workdir runs/photo-ablations
"""

from ml_collections import ConfigDict

from configs.photo import tiny
from configs.photo.common import fusion

# These have the parameters of the fused model, so they start from the same weights.
SWITCHED = {
    "gate_text": fusion("text"),
    "gate_vision": fusion("vision"),
    "gate_uniform": fusion("uniform"),
    "bank_off": fusion("text+vision", bank_on=False),
    "encoder_residual": fusion("text+vision", residual="encoder"),
}
# These have other parameters, so their encoders are taught anew.
CHANGED = {
    **{f"no_{name}": {"model.vision.encoders": tiny.bank(name)} for name in tiny.ENCODERS},
    "layers_1": {"model.fusion.layers": 1},
    "layers_3": {"model.fusion.layers": 3},
    "bank_1": {"model.fusion.bank": 1},
    "bank_32": {"model.fusion.bank": 32},
}


def get_config() -> ConfigDict:
    config = tiny.get_config()
    config.methods.update(SWITCHED)
    return config


def sweep(config: ConfigDict):
    """Yield the fused model as it is, then each variant."""
    for name in ("fused", *SWITCHED):
        yield {"objective.name": name}
    for name, changes in CHANGED.items():
        named = {"objective.variant": name, "encoders.variant": name}
        yield {"objective.name": "fused", **named, **changes}
