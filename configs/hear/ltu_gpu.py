"""The stages of LTU (Gong et al. 2024, arXiv:2305.10790) at its sizes, for GPUs: its audio
transformer before a decoder of 7 B.

python -m experiments.sweep --config configs/hear/ltu_gpu.py --workdir runs/hear-ltu

``pretrained`` names the folder of a listener, such as Qwen2-Audio-7B or a checkpoint of this house;
without it the weights are random, and the language model learns its words first.
"""

from ml_collections import ConfigDict

from configs.hear import common

DECODER = dict(
    width=4096, layers=32, heads=32, kv_heads=32, head_dim=128, mlp_width=11008, tied=False
)
TRAINED = "audio+audio_projector+lora"
sweep = common.sweep


def get_config() -> ConfigDict:
    config = common.get_config()
    config.benchmark.config = "full"
    config.processor.chat_format = "inline"
    config.processor.audio = ConfigDict(dict(token="<audio>", begin=None, end=None))
    config.model = dict(
        family="listener",
        decoder=dict(vocab_size=32000, max_positions=2048, remat="auto", **DECODER),
        audio=dict(kind="audio_vit"),
        dtype="bfloat16",
    )
    # The published labels are on question and answer; the sound is not learned.
    config.rows.update(tokens=256, supervised=160, answers=1)
    stages = {
        "project": dict(trainable="audio_projector", epochs=2, learning_rate=1e-3),
        "listen": dict(trainable=TRAINED, epochs=2, learning_rate=1e-4),
        "classify": dict(trainable=TRAINED, epochs=1, learning_rate=1e-4),
        "tune": dict(trainable=TRAINED, epochs=1, learning_rate=1e-4),
    }
    for name, values in stages.items():
        common_values = dict(loss_on="all", rows=256, accumulation=32, warmup=100)
        config[name].schedule.update(**values, **common_values)
    config.lora.update(rank=8, targets=r"decoder/layers/[qv]$", dropout=0.05, alpha=16.0)
    return config
