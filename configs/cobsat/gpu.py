"""A model of 60 M parameters that draws, of 128-pixel pictures, and all 10,000 prompts of each
number of shots, for one GPU.

python -m experiments.prepare --config configs/cobsat/gpu.py
python -m experiments.sweep --config configs/cobsat/gpu.py --workdir runs/cobsat-gpu
"""

from ml_collections import ConfigDict

from configs.cobsat import common, tiny

SIDE, CODES, SLOTS = 128, 2048, 64
sweep = common.sweep


def get_config() -> ConfigDict:
    config = common.get_config()
    config.benchmark.config = "small"
    config.processor.image_size = SIDE
    config.model = dict(
        family="interleaved",
        codec=dict(
            image_size=SIDE,
            patch_size=8,
            width=384,
            layers=3,
            generator_layers=3,
            heads=6,
            mlp_width=1536,
            codes=CODES,
            code_width=16,
            slots=SLOTS,
        ),
        decoder=tiny.decoder(tiny.TEXT + CODES + 2, width=576, layers=12, mlp=1536),
        dtype="bfloat16",
    )
    config.tokeniser.update(epochs=600, rows=128, learning_rate=1e-3, warmup=200)
    config.rows.update(tokens=1536, supervised=640, answers=8)
    config.sequences.update(size=400_000, shots=(2, 4, 6, 8), group=4)
    config.drawer.update(
        optimizer="muon",
        b2=0.95,
        rows=32,
        row_supervised=1152,
        epochs=2,
        learning_rate=2e-3,
        warmup=200,
        alike=True,
    )
    config.named.size = 20_000
    config.judge.model = dict(
        family="llava",
        decoder=tiny.decoder(tiny.TEXT, width=256, layers=4, mlp=704),
        vision=dict(
            image_size=SIDE,
            patch_size=8,
            width=384,
            layers=6,
            heads=6,
            mlp_width=1536,
            activation="gelu",
        ),
        projector=dict(mlp_width=256, width=256),
        dtype="bfloat16",
    )
    config.judge.schedule.update(
        optimizer="muon",
        b2=0.95,
        rows=128,
        row_tokens=304,
        row_supervised=16,
        epochs=20,
        learning_rate=2e-3,
        warmup=200,
    )
    config.checkpoint_every = 2000
    return config
