"""Operations of camera, scene and darkroom, each with the parameters of its settings."""

from mllm.benchmarks.photo.operations import colours, composition, lens, sharpness, tone
from mllm.benchmarks.photo.operations.base import STAGES, Operation

OPERATIONS: dict[str, Operation] = {
    one.name: one
    for stage in STAGES
    for module in (composition, lens, sharpness, tone, colours)
    for one in module.OPERATIONS
    if one.stage == stage
}

__all__ = ["OPERATIONS", "STAGES", "Operation"]
