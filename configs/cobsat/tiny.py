"""A model that draws, of 64-pixel pictures, and its judge, from scratch: minutes on a CPU.

python -m experiments.sweep --config configs/cobsat/tiny.py --workdir runs/cobsat
"""

from ml_collections import ConfigDict

from configs.cobsat import common
from configs.common import decoder

# Few codes: they recur in many pictures, so that a decoder learns them in fewer updates.
SIDE, CODES, SLOTS, TEXT = 64, 128, 8, 1024
sweep = common.sweep


def get_config() -> ConfigDict:
    config = common.get_config()
    config.processor.image_size = SIDE
    config.model = dict(
        family="interleaved",
        codec=dict(
            image_size=SIDE,
            patch_size=8,
            mixer="dense",
            width=512,
            mlp_width=1024,
            layers=1,
            generator_layers=1,
            features=48,
            codes=CODES,
            code_width=8,
            slots=SLOTS,
        ),
        decoder=decoder(TEXT + CODES + 2, width=128, layers=6, mlp=384),
        dtype="float32",
    )
    config.tokeniser.update(epochs=150, rows=64, learning_rate=2.5e-3, b2=0.99)
    config.rows.update(tokens=472, supervised=192, answers=8)
    config.sequences.update(size=28_000, group=3, described=3)
    config.named.update(size=1_000, pictures=9)
    config.sequences.weights.update(
        default=5.0, instruct=0.8, misleading=0.6, exact=0.8, caption=0.8, cot=0.8
    )
    # What is learned last is to find what pictures share. It takes many of such prompts in one
    # update more than it takes many answers to each.
    config.drawer.update(
        optimizer="muon",
        b2=0.95,
        rows=8,
        row_tokens=240,
        row_supervised=144,
        learning_rate=5e-3,
        alike=True,
    )
    # One patch holds the whole picture: a few dense layers learn far more in a minute than layers
    # over smaller patches do.
    config.judge.model = dict(
        family="llava",
        decoder=decoder(TEXT, width=96, layers=2, mlp=288),
        vision=dict(
            image_size=SIDE,
            patch_size=SIDE,
            width=512,
            layers=1,
            heads=8,
            mlp_width=1536,
            activation="gelu",
            class_token=False,
            drop_first=False,
            pre_norm=False,
            post_norm=True,
        ),
        projector=dict(mlp_width=256, width=96),
        dtype="float32",
    )
    config.judge.schedule.update(
        rows=64,
        row_tokens=48,
        row_supervised=16,
        epochs=15,
        learning_rate=1e-3,
        b2=0.99,
        weight_decay=0.02,
    )
    config.evaluation.update(shots=(2, 4), prompts=10, fewer=2, reply_tokens=16, analysis_tokens=24)
    config.checkpoint_every = 200
    return config
