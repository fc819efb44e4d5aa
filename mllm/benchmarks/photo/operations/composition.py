"""How a scene is arranged in the frame; the drawing of the scene reads these parameters."""

from mllm.benchmarks.photo.operations.base import operation

OPERATIONS = (
    operation(
        "placement",
        "scene",
        {
            "upper left": {"x": 0.22, "y": 0.27},
            "upper right": {"x": 0.78, "y": 0.27},
            "centre": {"x": 0.5, "y": 0.5},
            "lower left": {"x": 0.22, "y": 0.73},
            "lower right": {"x": 0.78, "y": 0.73},
        },
        touches="layout",
        needs="placement",
    ),
)
