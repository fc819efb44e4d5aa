"""Attributes of the topic Camera/Equipment."""

from mllm.benchmarks.photo.attributes.base import topic

_camera = topic("Camera/Equipment")

ATTRIBUTES = (
    _camera(
        "iso",
        "ISO Setting",
        "noise",
        ("ISO 100", "ISO 1600", "ISO 6400", "ISO 25600"),
        ("Which ISO setting does the grain suggest?", "At which ISO was the photo taken?"),
        "The noise is that of {}.",
        ("", "", "Choose a lower ISO.", "Choose a much lower ISO."),
    ),
)
