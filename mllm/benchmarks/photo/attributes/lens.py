"""Attributes of the topic Lens."""

from mllm.benchmarks.photo.attributes.base import topic

_lens = topic("Lens")

ATTRIBUTES = (
    _lens(
        "vignette",
        "Effect",
        "vignette",
        ("black corners", "dark corners", "even corners", "bright corners"),
        ("What does the lens do to the corners?", "Which effect of the lens do the corners show?"),
        "The lens gives {}.",
        ("Correct the vignette strongly.", "Correct the vignette.", "", "Darken the corners."),
    ),
)
