"""Attributes of the topic Aperture and Focus."""

from mllm.benchmarks.photo.attributes.base import topic

_focus = topic("Aperture and Focus")

ATTRIBUTES = (
    _focus(
        "sharpness",
        "Focus and Sharpness",
        "defocus",
        ("sharp", "slightly soft", "clearly blurred", "unrecognisable"),
        ("How sharp is the focus of this photo?", "How well is the photo focused?"),
        "The focus is {}.",
        ("", "Focus more exactly.", "Focus on the subject.", "Focus on the subject."),
    ),
)
