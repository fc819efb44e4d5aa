"""A recommender of 2.3 M parameters that reads covers at 32 pixels, from scratch: minutes on a CPU.

python -m experiments.sweep --config configs/msr/tiny.py --workdir runs/msr
"""

from ml_collections import ConfigDict

from configs.msr import common

SIDE, TEXT, WIDTH = 32, 1024, 128
sweep = common.sweep


def get_config() -> ConfigDict:
    config = common.get_config()
    config.processor.update(chat_format="inline", image_size=SIDE)
    # One patch holds the whole cover: a few dense layers learn far more in a minute than layers
    # over smaller patches do, and a picture is one token.
    config.model = dict(
        family="llava",
        decoder=dict(
            vocab_size=TEXT,
            width=WIDTH,
            layers=3,
            heads=WIDTH // 32,
            kv_heads=WIDTH // 32,
            head_dim=32,
            mlp_width=352,
        ),
        vision=dict(
            image_size=SIDE,
            patch_size=SIDE,
            width=256,
            layers=1,
            heads=4,
            mlp_width=768,
            activation="gelu",
            class_token=False,
            drop_first=False,
            pre_norm=False,
            post_norm=True,
        ),
        projector=dict(mlp_width=256, width=WIDTH),
        dtype="float32",
    )
    # Within minutes a model of this size does not learn to compare a picture with words, so its own
    # summary of the candidate is shown next to the picture.
    config.prompts.update(wording="brief", candidate=("picture", "title", "summary"))
    config.summaries.update(tokens=12)
    config.preferences.update(tokens=32)
    config.rows.update(tokens=256, supervised=128, answers=16)
    config.captioner.update(
        epochs=8, rows=64, row_tokens=32, row_supervised=16, learning_rate=1.5e-3, b2=0.99
    )
    # From here on covers are read once: what encodes them does not train any more.
    teach = dict(optimizer="muon", b2=0.95, trainable="decoder", rows=8, alike=True)
    config.summariser.update(blocks=4000, comparisons=12000)
    config.summariser.schedule.update(epochs=1, learning_rate=3e-3, **teach)
    config.recommender.update(negatives=3, ahead=2)
    config.recommender.schedule.update(epochs=4, learning_rate=2e-3, **teach)
    config.tallrec.update(negatives=1, ahead=1)
    config.tallrec.schedule.update(epochs=1, learning_rate=3e-3, **teach)
    config.checkpoint_every = 1000
    return config
