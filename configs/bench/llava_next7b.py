"""The sizes of LLaVA-NeXT-Mistral-7B (llava-hf/llava-v1.6-mistral-7b-hf), without weights: to see
whether it fits. A row holds the largest picture, of 2,928 tokens, and 400 tokens of text.

python -m experiments.fits --config configs/bench/llava_next7b.py --topology h100:1
"""

from configs.bench.llava7b import LLAVA_7B, sizes

LLAVA_NEXT_7B = {
    **LLAVA_7B,
    "family": "llava_next",
    "decoder": {
        **LLAVA_7B["decoder"],
        "kv_heads": 8,
        "mlp_width": 14336,
        "rope_theta": 1e6,
        "norm_eps": 1e-5,
        "max_positions": 32768,
    },
}


def get_config():
    config = sizes(LLAVA_NEXT_7B)
    config.rows.tokens = 3328
    return config
