"""LLaVA-1.5-7B by the published recipe, from the folder of llava-hf/llava-1.5-7b-hf.

python -m experiments.prepare --config configs/mllmu/llava7b_paper.py
python -m experiments.unlearn --config configs/mllmu/llava7b_paper.py \
    --config.objective.name=npo --workdir runs/llava7b_paper/npo
python -m experiments.evaluate --config configs/mllmu/llava7b_paper.py \
    --checkpoint runs/llava7b_paper/npo

The published parquet folders are expected in MLLMU-Bench; "full" or "small" after a colon takes
generated data (configs/mllmu/llava7b_paper.py:small).
"""

from configs.mllmu import paper

# The published code names modules by their last component, so CLIP's q, k and v get adapters too.
TARGETS = r"decoder/layers/(q|k|v|o|gate|up|down)$|vision/layers/(q|k|v)$"


def get_config(arg: str = "published"):
    config = paper.get_config(
        arg, pretrained="llava-1.5-7b-hf", targets=TARGETS, end_token=False, tokens=768
    )
    config.processor.chat_format = "llava"  # the published prompt of the benchmark
    return config
