"""The sizes of a model of 7 B with three encoders: CLIP-L/14-336, DINOv2-L/14 and SigLIP-SO400M/14,
without weights: to see whether it fits.

python -m experiments.fits --config configs/bench/fused7b.py --topology h100:1
"""

from configs.bench.llava7b import LLAVA_7B, sizes
from configs.mllmu import common

_LARGE = dict(patch_size=14, width=1024, heads=16, mlp_width=4096, remat="nothing")
_IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_HALVES = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
_PLAIN = dict(pre_norm=False, post_norm=True, patch_bias=True, norm_eps=1e-6)
TOWERS = dict(
    clip=dict(image_size=336, layers=23, **_LARGE),
    dinov2=dict(
        image_size=336,
        layers=24,
        activation="gelu",
        layer_scale=True,
        **_LARGE,
        **_PLAIN,
        **_IMAGENET,
    ),
    siglip=dict(
        image_size=384,
        patch_size=14,
        width=1152,
        layers=27,
        heads=16,
        mlp_width=4304,
        activation="gelu_tanh",
        class_token=False,
        drop_first=False,
        remat="nothing",
        **_PLAIN,
        **_HALVES,
    ),
)
SIDE = 384
FUSION = dict(queries=576, bank=16, layers=3, width=1024, heads=16, mlp_width=4096, remat="nothing")
FUSED_7B = dict(
    family="fused",
    decoder={**LLAVA_7B["decoder"], "vocab_size": 32000},
    vision=dict(
        image_size=SIDE,
        encoders={name: dict(kind="vit", tower=tower) for name, tower in TOWERS.items()},
    ),
    fusion=FUSION,
    projector=dict(mlp_width=4096, width=4096),
    dtype="bfloat16",
)


def get_config():
    config = sizes(FUSED_7B)
    config.objective.name = "nll"
    config.methods.nll = common.method(trainable="fusion+projector+lora")
    config.lora.update(rank=128, targets=r"decoder/layers/\w+$")
    return config
