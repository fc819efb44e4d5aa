"""A small audio transformer and a decoder from scratch: minutes on a CPU.

python -m experiments.sweep --config configs/hear/tiny.py --workdir runs/hear
"""

from ml_collections import ConfigDict

from configs.common import decoder
from configs.hear import common

TEXT, WIDTH = 2048, 96
sweep = common.sweep


def get_config() -> ConfigDict:
    config = common.get_config()
    config.processor.chat_format = "inline"
    config.processor.audio = ConfigDict(dict(token="<audio>", begin=None, end=None))
    config.model = dict(
        family="listener",
        decoder=decoder(TEXT, WIDTH, layers=3, mlp=256),
        audio=dict(
            kind="audio_vit",
            frames=160,
            bins=64,
            patch_size=16,
            pool=1,
            width=96,
            layers=3,
            heads=3,
            mlp_width=192,
        ),
        dtype="float32",
    )
    config.rows.update(tokens=192, supervised=64, answers=8)
    muon = dict(optimizer="muon", b2=0.95, warmup=20)
    config.language.lessons.update(labelled=30, described=12, kinds=6, named=6)
    config.language.schedule.update(epochs=2, rows=4, learning_rate=3e-3, **muon)
    config.project.schedule.epochs = 0
    # The decoder is frozen, so what it knows stays, and the encoder learns to be read by it.
    config.listen.lessons.captions = 0
    config.listen.schedule.update(
        trainable="audio+audio_projector",
        epochs=10,
        rows=48,
        row_tokens=40,
        learning_rate=3e-3,
        sounds="masked",
        **muon,
    )
    config.classify.schedule.epochs = 0
    for method in config.methods.values():
        method.lessons.update(captions=3, questions=2)
    config.methods.facts.lessons.update(labelled=8, described=4, kinds=2, named=2)
    config.tune.schedule.update(epochs=1, rows=32, row_tokens=128, learning_rate=3e-3, **muon)
    config.evaluation.update(validation=0, per_label=1, representation=4)
    config.checkpoint_every = 1000
    return config
