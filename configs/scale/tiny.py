"""Two models from scratch, of 1 M and 6 M parameters, on the generated items: minutes on a CPU.

python -m experiments.sweep --config configs/scale/tiny.py --workdir runs/scale
"""

from ml_collections import ConfigDict

from configs.common import decoder
from configs.scale import common

SIDE, PATCH = 64, 16
sweep = common.sweep


def get_config() -> ConfigDict:
    config = common.get_config()
    config.processor.update(chat_format="inline", image_size=SIDE)
    config.rows.update(tokens=248, supervised=40, answers=3)
    config.compared = ("small", "large")
    config.models.small = _model(width=160, layers=2, mlp=384, learning_rate=4e-3)
    config.models.large = _model(width=320, layers=3, mlp=960, learning_rate=2.5e-3)
    config.evaluation.reply_tokens = 24
    config.checkpoint_every = 400
    return config


def _model(width: int, layers: int, mlp: int, learning_rate: float) -> ConfigDict:
    """Return a LLaVA whose decoder has ``layers`` layers, and how it is trained."""
    model = dict(
        family="llava",
        decoder=decoder(1536, width, layers, mlp),
        vision=dict(
            image_size=SIDE,
            patch_size=PATCH,
            width=width // 2,
            layers=2,
            heads=max(2, width // 64),
            mlp_width=width,
            activation="gelu",
        ),
        projector=dict(mlp_width=width, width=width),
        dtype="float32",
    )
    schedule = common.stage(
        optimizer="muon", b2=0.95, rows=8, epochs=1, learning_rate=learning_rate, alike=True
    )
    return ConfigDict(dict(model=model, schedule=schedule))
