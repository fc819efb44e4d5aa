"""Operations of camera, scene and darkroom, each with the parameters of its settings."""

from mllm.benchmarks.photo.operations import (
    air,
    colours,
    composition,
    darkroom,
    lens,
    lighting,
    scenes,
    sharpness,
    tone,
)
from mllm.benchmarks.photo.operations.base import STAGES, Operation

MODULES = (composition, scenes, lighting, air, lens, sharpness, tone, colours, darkroom)
# In the order in which they are done.
OPERATIONS: dict[str, Operation] = {
    one.name: one
    for stage in STAGES
    for module in MODULES
    for one in module.OPERATIONS
    if one.stage == stage
}

__all__ = ["OPERATIONS", "STAGES", "Operation"]
