"""The sizes of LLaVA-1.5-7B, without weights: to measure, and to see whether it fits.

python -m experiments.bench --config configs/bench/llava7b.py
python -m experiments.fits --config configs/bench/llava7b.py --topology v5e:4x4

Behind a colon "tiny" takes a model that a laptop measures in a minute.
"""

from ml_collections import ConfigDict

from configs.mllmu import common

METHODS = ("ga", "npo", "kl_min")

LLAVA_7B = dict(
    family="llava",
    decoder=dict(
        vocab_size=32064,
        width=4096,
        layers=32,
        heads=32,
        kv_heads=32,
        head_dim=128,
        mlp_width=11008,
        tied=False,
        max_positions=4096,
        remat="nothing",
    ),
    vision=dict(
        image_size=336,
        patch_size=14,
        width=1024,
        layers=23,
        heads=16,
        mlp_width=4096,
        remat="nothing",
    ),
    projector=dict(mlp_width=4096, width=4096, bias=True),
    dtype="bfloat16",
)
TINY = dict(
    family="llava",
    decoder=dict(
        vocab_size=2048,
        width=64,
        layers=2,
        heads=4,
        kv_heads=4,
        head_dim=16,
        mlp_width=128,
        tied=False,
    ),
    vision=dict(image_size=56, patch_size=14, width=32, layers=2, heads=2, mlp_width=64),
    projector=dict(mlp_width=64, width=64, bias=True),
    dtype="float32",
)

# Name, seconds of ours and of the peer on one H100, compiling included; None: no peer. The lines
# before ``attention`` are those of the table in docs/performance.md.
LINES = (
    ("ga_pictures", 30, 25),
    ("npo_pictures", 15, 30),
    ("evaluation_strict", 100, 35),
    ("decoding_1", 35, 12),
    ("decoding_64", 45, 15),
    ("choices", 25, 15),
    ("ga_single", 20, 25),
    ("kl_min_pictures", 20, None),
    ("attention", 30, None),
    ("decoding_64_int8", 45, None),
    ("decoding_32", 40, 13),
    ("npo_single", 15, 30),
    ("kl_min_single", 20, None),
    ("evaluation_paper", 100, 0),
)
TINY_LINES = (
    ("ga_pictures", 2, 1),
    ("npo_pictures", 2, 1),
    ("evaluation_strict", 10, 5),
    ("decoding_1", 2, 1),
    ("decoding_4", 2, 1),
    ("choices", 2, 1),
    ("ga_single", 2, 1),
    ("kl_min_pictures", 3, None),
    ("attention", 1, None),
    ("decoding_4_int8", 2, None),
    ("npo_single", 2, 1),
    ("kl_min_single", 3, None),
    ("evaluation_paper", 10, 0),
)


def get_config(arg: str = "7b"):
    if arg not in ("7b", "tiny"):
        raise ValueError(f"llava7b takes 7b or tiny after the colon, got {arg!r}")
    return sizes(LLAVA_7B if arg == "7b" else TINY, small=arg == "tiny")


def sizes(model: dict, *, small: bool = False):
    """Return the configuration of a model of these sizes: rows of a profile, LoRA, AdamW."""
    config = common.get_config()
    config.model = model
    config.processor.update(chat_format="llava", image_size=model["vision"]["image_size"])
    config.rows.update(
        tokens=160 if small else 1024, supervised=96 if small else 256, answers=4 if small else 16
    )
    for name in METHODS:
        config.methods[name].update(trainable="lora", learning_rate=1e-4, rows=2 if small else 8)
    config.lora.update(rank=16, targets=r"decoder/layers/\w+$")
    # The people to forget when 5% of all are; small, when 15% of a small benchmark are.
    config.benchmark.update(config="small" if small else "full", forget=15 if small else 5)
    # ``remat`` of the decoder in a training step ("": that of the model).
    # Rows of a step, of pairs that share a picture (``pairs`` of ``pair_tokens`` after a picture)
    # and of single pairs, and the batches that the peer tries; rows that are decoded together,
    # tokens of their question and reply; people; questions that the peer's loop is timed on. Lines
    # are in order of their value, with the seconds that our side and the peer are expected to take.
    config.bench = ConfigDict(
        dict(
            small=small,
            remat="" if small else "auto",
            rows=2 if small else 8,
            pairs=4 if small else 14,
            pair_tokens=24 if small else 64,
            single_rows=4 if small else 16,
            single_tokens=32 if small else 128,
            peer_rows=(4,) if small else (4, 8, 16),
            peer_checkpointed=(4,) if small else (16,),
            batches=(1, 4) if small else (1, 32, 64),
            prompt_tokens=16 if small else 64,
            new_tokens=8 if small else 50,
            people=2 if small else 25,
            sample=4 if small else 18,
            setup=dict(ours=5, peer=5) if small else dict(ours=35, peer=35),
            lines=TINY_LINES if small else LINES,
        )
    )
    return config
