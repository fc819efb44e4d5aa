"""Attributes of the topic Composition."""

from mllm.benchmarks.photo.attributes.base import topic

_composition = topic("Composition")

ATTRIBUTES = (
    _composition(
        "focal_point",
        "Focal Point",
        "placement",
        ("at the upper left", "at the upper right", "in the centre", "at the lower left",
         "at the lower right"),
        ("Where is the focal point of the photo?", "Where does the main subject stand?"),
        "The main subject is {}.",
        ("", "", "Move the subject off the centre.", "", ""),
    ),
    _composition(
        "horizon_tilt",
        "Composition and Cropping",
        "tilt",
        ("strongly to the left", "slightly to the left", "not at all", "slightly to the right",
         "strongly to the right"),
        ("To which side does the horizon slope down?", "How does the horizon tilt?"),
        "The horizon slopes down {}.",
        ("Turn the photo clockwise and crop it.", "Turn the photo clockwise a little.", "",
         "Turn the photo anticlockwise a little.", "Turn the photo anticlockwise and crop it."),
    ),
)  # fmt: skip
