"""Attributes of the topic Photography Techniques."""

from mllm.benchmarks.photo.attributes.base import topic

_technique = topic("Photography Techniques")

ATTRIBUTES = (
    _technique(
        "motion_direction",
        "Motion Blur",
        "shake",
        ("left to right", "rising diagonal", "up and down", "falling diagonal"),
        ("In which direction is the motion blur?", "Along which line did the camera move?"),
        "The motion blur runs {}.",
        ("Hold the camera still.",) * 4,
    ),
)
