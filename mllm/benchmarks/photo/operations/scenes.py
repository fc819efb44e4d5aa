"""How long the shutter of a drawn scene stays open; the drawing reads these parameters."""

from mllm.benchmarks.photo.operations.base import operation

OPERATIONS = (
    operation(
        "water",
        "scene",
        {
            "frozen": {"calm": 0.0},
            "soft": {"calm": 0.35},
            "silky": {"calm": 0.7},
            "mist": {"calm": 1.0},
        },
        touches="detail place",
        needs="water",
    ),
    operation(
        "stars",
        "scene",
        {
            "points": {"degrees": 0.0},
            "short": {"degrees": 12.0},
            "long": {"degrees": 45.0},
            "circles": {"degrees": 150.0},
        },
        touches="detail place geometry",
        needs="stars",
    ),
)
