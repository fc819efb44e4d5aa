"""Three small encoders, a fusion and a decoder from scratch: minutes on a CPU.

python -m experiments.sweep --config configs/photo/tiny.py --workdir runs/photo
"""

from ml_collections import ConfigDict

from configs.common import decoder
from configs.photo import common

SIDE, TEXT, WIDTH = 96, 1024, 128
# What each encoder sees: the first two read fixed statistics of each cell, the last the pixels.
ENCODERS = {"colour": "colour", "edges": "spectrum", "semantics": "vit"}
sweep = common.sweep


def get_config() -> ConfigDict:
    config = common.get_config()
    config.processor.update(chat_format="inline", image_size=SIDE)
    config.model = dict(
        family="fused",
        decoder=decoder(TEXT, WIDTH, layers=3, mlp=352),
        vision=dict(
            image_size=SIDE,
            encoders={name: dict(kind=k, tower=tower(k)) for name, k in ENCODERS.items()},
        ),
        fusion=dict(
            queries=16,
            bank=8,
            layers=2,
            width=WIDTH,
            heads=4,
            mlp_width=256,
            gate="uniform",
        ),
        projector=dict(mlp_width=256, width=WIDTH),
        dtype="float32",
    )
    for name in ENCODERS:
        config.methods[name] = common.fusion(f"fixed:{name}")
    config.rows.update(tokens=128, supervised=48, answers=4)
    muon = dict(optimizer="muon", b2=0.95, rows=64)
    config.encoders.update(repeats=4)
    config.encoders.schedule.update(epochs=1, learning_rate=3e-3, **muon)
    config.align.schedule.update(epochs=1, learning_rate=3e-3, **muon)
    config.tune.schedule.update(epochs=1, learning_rate=2e-3, **muon)
    config.evaluation.update(letters=100, critiques=50, looks=1500)
    config.checkpoint_every = 1000
    return config


def tower(kind: str) -> dict:
    """Return a small transformer over the cells of a picture."""
    shape = dict(image_size=SIDE, patch_size=16, width=96, layers=2, heads=3, mlp_width=192)
    pixels = dict(class_token=False, drop_first=False, pre_norm=False, post_norm=True)
    return dict(**shape, activation="gelu", **(pixels if kind == "vit" else {}))
