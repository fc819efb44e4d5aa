"""Attributes of the topic Color."""

from mllm.benchmarks.photo.attributes.base import topic

_color = topic("Color")

ATTRIBUTES = (
    _color(
        "white_balance",
        "White Balance",
        "white_balance",
        ("strongly blue", "slightly blue", "neutral", "orange"),
        (
            "How is the white balance of this photo?",
            "Which white balance does the photo show?",
        ),
        "The white balance is {}.",
        (
            "Set a much higher colour temperature.",
            "Set a higher colour temperature.",
            "",
            "Set a lower colour temperature.",
        ),
    ),
    _color(
        "saturation",
        "Saturation",
        "saturation",
        ("black and white", "muted", "natural", "garish"),
        ("How saturated are the colours?", "What is the saturation of the photo like?"),
        "The colours are {}.",
        ("", "Raise the saturation.", "", "Lower the saturation."),
    ),
)
