"""A 3 M-parameter LLaVA from scratch on the `small` benchmark: minutes on a laptop's CPU.

    python -m experiments.prepare --config configs/mllmu/tiny.py
    python -m experiments.finetune --config configs/mllmu/tiny.py --workdir runs/tiny
    python -m experiments.unlearn --config configs/mllmu/tiny.py --config.objective.name=npo \
        --workdir runs/tiny/npo
    python -m experiments.evaluate --config configs/mllmu/tiny.py --checkpoint runs/tiny/npo
"""

from configs.mllmu import common


def get_config():
    config = common.get_config()
    config.model = dict(
        family="llava",
        decoder=dict(
            vocab_size=2048,
            width=256,
            layers=3,
            heads=4,
            kv_heads=2,
            head_dim=64,
            mlp_width=256,
        ),
        vision=dict(
            image_size=60,
            patch_size=12,
            width=160,
            layers=3,
            heads=4,
            mlp_width=640,
            activation="gelu",
        ),
        projector=dict(mlp_width=256, width=256),
        dtype="float32",
    )
    config.processor.update(chat_format="llava", image_size=60)
    # Short rows have few questions per picture, so many views of it are seen.
    config.rows.update(tokens=96, supervised=40, answers=5)
    teach = dict(optimizer="muon", b2=0.95, rows=16, augment=True, epochs=2)
    config.base = common.stage(learning_rate=3e-3, **teach)
    config.vanilla = common.stage(learning_rate=2.5e-3, **teach)
    # Learning rates and epochs were chosen on the validation profiles (--config.tuning=True).
    unlearn = dict(trainable="lora", rows=16, warmup=0, decay="constant")
    methods = config.methods
    methods.ga.update(epochs=1, learning_rate=1.05e-3, **unlearn)
    methods.grad_diff.update(epochs=1, learning_rate=1e-3, **unlearn)
    methods.kl_min.update(epochs=1, learning_rate=1.5e-3, **unlearn)
    methods.npo.update(epochs=1, learning_rate=1.1e-3, **unlearn)
    methods.npo.options.beta = 1.0  # answers are a few tokens long: 0.1 lets them fall without end
    for name in common.UNTUNED:
        methods[name].update(epochs=1, learning_rate=1e-3, **unlearn)
    config.checkpoint_every = 400
    return config
