"""Attributes of the topic Aperture and Focus."""

from mllm.benchmarks.photo.attributes.base import topic

_focus = topic("Aperture and Focus")

ATTRIBUTES = (
    _focus(
        "aperture",
        "Aperture Setting",
        "aperture",
        ("f/16", "f/5.6", "f/2.8", "f/1.4"),
        ("Which aperture setting was used?", "At which aperture was the photo taken?"),
        "The aperture is {}.",
    ),
    _focus(
        "focus_plane",
        "Focus",
        "focus_plane",
        ("the foreground", "the middle", "the distance", "everything"),
        ("What is in focus?", "Where does the focus lie?"),
        "In focus is {}.",
    ),
    _focus(
        "blurred_planes",
        "Depth of Field",
        "focus_plane",
        ("middle and distance", "near and far", "the foreground", "nothing"),
        (
            "What lies outside the depth of field?",
            "What does the depth of field leave blurred?",
        ),
        "Outside the depth of field: {}.",
    ),
    _focus(
        "sharpness",
        "Focus and Sharpness",
        "defocus",
        ("sharp", "slightly soft", "clearly blurred", "unrecognisable"),
        ("How sharp is the focus of this photo?", "How well is the photo focused?"),
        "The focus is {}.",
        ("", "Focus more exactly.", "Focus on the subject.", "Focus on the subject."),
    ),
    _focus(
        "planes",
        "Depth of Perception",
        "ridges",
        ("one plane", "two planes", "three planes", "five planes"),
        (
            "How many planes of mountains give depth?",
            "How many planes let the eye perceive depth?",
        ),
        "Depth comes from {} of mountains.",
    ),
)
