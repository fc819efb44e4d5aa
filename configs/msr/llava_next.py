"""The published setting: LLaVA-NeXT summarises covers and is fine-tuned with LoRA on MicroLens.

python -m experiments.sweep --config configs/msr/llava_next.py:llava-v1.6-mistral-7b-hf \
    --config.benchmark.source=MicroLens --workdir runs/msr-llava

After the colon comes the folder of LLaVA-NeXT and, after a comma, that of another model of a
supported family that writes preferences; the source has Llama-3-8B-Instruct do it. Values are those
of the source's scripts where the paper has others: LoRA of rank 8 and 10 epochs there.
"""

from ml_collections import ConfigDict

from configs.msr import common

sweep = common.sweep


def get_config(arg: str = "llava-v1.6-mistral-7b-hf") -> ConfigDict:
    folder, _, writer = arg.partition(",")
    config = common.get_config()
    config.benchmark.config = "microlens"
    config.pretrained = folder
    config.model = dict(dtype="bfloat16", remat="auto")
    config.summariser.update(folder=folder, writer=writer)
    config.prompts.update(layout="published", compat=True)
    config.preferences.update(temperature=0.6, top_p=0.9)
    # A cover takes 1,177 to 2,928 tokens.
    config.rows.update(tokens=3584, supervised=8, answers=1)
    config.lora.update(rank=16, dropout=0.1)
    config.lora.alpha = 32.0
    teach = dict(
        trainable="lora",
        epochs=4,
        rows=24,
        accumulation=24,
        learning_rate=2e-5,
        warmup=0,
        decay="constant",
        weight_decay=0.01,  # the default of torch's AdamW
    )
    config.recommender.schedule.update(share_text=False, **teach)
    config.tallrec.schedule.update(teach)
    return config
