"""A sweep of a few methods that trains in seconds: 32 pixels, one layer, a few profiles.

An anchor, methods that train everything, an adapter or nothing, and one that has a variant.

``micro.py:few`` compares fewer of them. The tests give ``--config.benchmark.data_dir``. What it
learns is worth nothing; that it is the same every time is what the tests are about.
"""

from configs.mllmu import common

RUNS = (
    {"objective.name": "base"},
    {"objective.name": "vanilla"},
    {"objective.name": "grad_diff"},
    {
        "objective.name": "npo",
        "objective.variant": "published",
        "methods.npo.options.form": "batch_mean",
    },
    {"objective.name": "prompting"},
)


FEW = ("vanilla", "grad_diff", "prompting")


def get_config(arg: str = "all"):
    config = common.get_config()
    config.few = arg == "few"
    config.benchmark.limit.update(forget=2, retain=2, celebrity=2, captions=4)
    config.model = dict(
        family="llava",
        decoder=dict(
            vocab_size=2048, width=32, layers=1, heads=2, kv_heads=1, head_dim=16, mlp_width=48
        ),
        vision=dict(
            image_size=32,
            patch_size=16,
            width=16,
            layers=1,
            heads=2,
            mlp_width=32,
            activation="gelu",
        ),
        projector=dict(mlp_width=32, width=32),
        dtype="float32",
    )
    config.processor.update(chat_format="llava", image_size=32)
    config.base = common.stage(epochs=3, rows=2, warmup=2, augment=True)
    config.vanilla = common.stage(epochs=1, rows=2, warmup=2, augment=True)
    for method in config.methods.values():
        method.update(trainable="lora", epochs=1, rows=4, warmup=0, learning_rate=1e-3)
    config.methods.grad_diff.epochs = 3  # steps enough to be killed between two checkpoints
    config.lora.update(rank=2)
    config.evaluation.update(rows=40, classification_tokens=3, cloze_tokens=3, generation_tokens=6)
    config.checkpoint_every = 5
    config.log_every = 2
    return config


def sweep(config):
    """One seed, one forget split."""
    yield from (run for run in RUNS if not config.few or run["objective.name"] in FEW)
