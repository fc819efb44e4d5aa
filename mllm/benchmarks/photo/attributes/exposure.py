"""Attributes of the topic Exposure."""

from mllm.benchmarks.photo.attributes.base import topic

_exposure = topic("Exposure")

ATTRIBUTES = (
    _exposure(
        "exposure",
        "Settings",
        "exposure",
        ("far too dark", "slightly too dark", "well exposed", "too bright"),
        ("How is the photo exposed?", "What is the exposure of this photo?"),
        "The exposure is {}.",
        (
            "Expose two stops longer.",
            "Expose one stop longer.",
            "",
            "Expose two stops shorter.",
        ),
    ),
    _exposure(
        "contrast",
        "Contrast",
        "contrast",
        ("flat", "normal", "strong", "harsh"),
        ("How strong is the contrast of the exposure?", "What is the tonal contrast like?"),
        "The tonal contrast is {}.",
        ("Raise the contrast.", "", "", "Lower the contrast."),
    ),
)
