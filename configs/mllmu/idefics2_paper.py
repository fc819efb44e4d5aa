"""Idefics2-8B by the published recipe, from the folder of HuggingFaceM4/idefics2-8b.

python -m experiments.prepare --config configs/mllmu/idefics2_paper.py
python -m experiments.unlearn --config configs/mllmu/idefics2_paper.py \
    --config.objective.name=npo --workdir runs/idefics2_paper/npo
python -m experiments.evaluate --config configs/mllmu/idefics2_paper.py \
    --checkpoint runs/idefics2_paper/npo

Training does not split pictures; the evaluation does what the folder's preprocessor_config.json
says, and the published one splits them.
"""

from configs.mllmu import paper

# The published code excludes only the vision tower and LLaVA's projector by name, so connector and
# resampler get adapters too. It names modules by their last component, so q, k and v of the tower
# get them as well.
TARGETS = (
    r"(decoder|resampler)/layers/(q|k|v|o|gate|up|down)$|connector/(gate|up|down)$"
    r"|vision/layers/(q|k|v)$"
)


def get_config(arg: str = "published"):
    config = paper.get_config(
        arg, pretrained="idefics2-8b", targets=TARGETS, end_token=True, tokens=512
    )
    for stage in (config.vanilla, *config.methods.values()):
        stage.split = False
    return config
