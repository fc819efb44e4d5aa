"""Three small encoders, a fusion and a decoder from scratch: minutes on a CPU.

python -m experiments.sweep --config configs/photo/tiny.py --workdir runs/photo
"""

from ml_collections import ConfigDict

from configs.common import decoder
from configs.photo import common

SIDE, TEXT, WIDTH = 96, 2048, 128
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
            encoders=bank(),
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
    config.rows.update(tokens=144, supervised=64, answers=1)
    muon = dict(optimizer="muon", b2=0.95, warmup=20)
    config.encoders.update(repeats=2)
    config.encoders.schedule.update(rows=24, learning_rate=3e-3, **muon)
    # The encoders come with a fusion and a projector that serve them, so nothing is left to align.
    config.align.schedule.epochs = 0
    config.tune.lessons.update(letter=0, critiques=0, conversations=0)
    config.tune.schedule.update(rows=64, row_tokens=48, learning_rate=2e-3, **muon)
    config.evaluation.update(photos=150, letters=30, critiques=12, critique_tokens=48, looks=600)
    config.checkpoint_every = 1000
    return config


def bank(without: str = "") -> dict:
    """Return the encoders by name, perhaps without one."""
    names = [name for name in ENCODERS if name != without]
    return {name: dict(kind=ENCODERS[name], tower=tower(ENCODERS[name])) for name in names}


def tower(kind: str) -> dict:
    """Return a small transformer over the cells of a picture."""
    shape = dict(image_size=SIDE, patch_size=16, width=96, layers=2, heads=3, mlp_width=192)
    pixels = dict(class_token=False, drop_first=False, pre_norm=False, post_norm=True)
    return dict(**shape, activation="gelu", **(pixels if kind == "vit" else {}))
