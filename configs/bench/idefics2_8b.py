"""The sizes of Idefics2-8B, without weights: to see whether it fits.

python -m experiments.fits --config configs/bench/idefics2_8b.py --topology v5e:4x4
"""

from configs.bench.llava7b import sizes

IDEFICS2_8B = dict(
    family="idefics2",
    decoder=dict(
        vocab_size=32003,
        width=4096,
        layers=32,
        heads=32,
        kv_heads=8,
        head_dim=128,
        mlp_width=14336,
        tied=False,
        max_positions=32768,
        window=4096,
        remat="nothing",
    ),
    vision=dict(
        image_size=980,
        patch_size=14,
        width=1152,
        layers=27,
        heads=16,
        mlp_width=4304,
        norm_eps=1e-6,
        activation="gelu_tanh",
        class_token=False,
        drop_first=False,
        pre_norm=False,
        post_norm=True,
        patch_bias=True,
        ragged=True,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        remat="nothing",
    ),
    connector=dict(mlp_width=14336, width=4096),
    resampler=dict(
        width=4096,
        layers=3,
        latents=64,
        heads=16,
        kv_heads=4,
        head_dim=96,
        mlp_width=16384,
    ),
    dtype="bfloat16",
)


def get_config():
    return sizes(IDEFICS2_8B)
