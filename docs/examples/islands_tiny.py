"""A LLaVA of 70,000 weights that learns the four islands in seconds.

python -m experiments.sweep --config configs/islands/tiny.py --workdir runs/islands
"""

from configs import common


def get_config():
    config = common.get_config()
    config.benchmark.name = "islands"
    config.model = dict(
        family="llava",
        decoder=dict(
            vocab_size=320, width=64, layers=2, heads=2, kv_heads=1, head_dim=32, mlp_width=96
        ),
        vision=dict(
            image_size=16,
            patch_size=8,
            width=32,
            layers=1,
            heads=2,
            mlp_width=64,
            activation="gelu",
        ),
        projector=dict(mlp_width=64, width=64),
        dtype="float32",
    )
    config.processor.update(chat_format="llava", image_size=16)
    config.rows.update(tokens=48, supervised=24, answers=1)
    config.taught = common.stage(epochs=60, rows=8, learning_rate=3e-3, warmup=10)
    config.objective.name = "taught"
    config.evaluation.protocol = "capitals"
    return config


def sweep(config):
    """Yield what is trained and evaluated, as changes of the configuration."""
    for name in ("taught", "oracle", "random"):
        yield {"objective.name": name}
