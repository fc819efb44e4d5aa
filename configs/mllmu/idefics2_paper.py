"""Idefics2-8B by the published recipe, from the folder of HuggingFaceM4/idefics2-8b.

python -m experiments.prepare --config configs/mllmu/idefics2_paper.py
python -m experiments.unlearn --config configs/mllmu/idefics2_paper.py \
    --config.objective.name=npo --workdir runs/idefics2_paper/npo
python -m experiments.evaluate --config configs/mllmu/idefics2_paper.py \
    --checkpoint runs/idefics2_paper/npo

Pictures are taught without splitting, and evaluated as the folder's preprocessor_config.json says:
split, in the published one.
"""

from configs.mllmu import paper

# Left out by name are only the vision tower and LLaVA's projector, so connector and resampler have
# adapters too; named by their last component, those of q, k and v are on the tower's attention.
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
