"""Attributes of the topic Exposure."""

from mllm.benchmarks.photo.attributes.base import topic

_exposure = topic("Exposure")

ATTRIBUTES = (
    _exposure(
        "exposure_adjustment",
        "Adjustment",
        "exposure",
        ("brighten it a lot", "brighten it a little", "leave the exposure", "darken it"),
        ("How should the exposure be adjusted?", "Which exposure adjustment is needed?"),
        "The exposure adjustment to make is: {}.",
        ("Brighten the photo a lot.", "Brighten the photo a little.", "", "Darken the photo."),
    ),
    _exposure(
        "exposure",
        "Settings",
        "exposure",
        ("far too dark", "slightly too dark", "well exposed", "too bright"),
        ("How is the photo exposed?", "What does the exposure setting give?"),
        "The photo is {}.",
        (
            "Expose three stops longer.",
            "Expose one stop longer.",
            "",
            "Expose two stops shorter.",
        ),
    ),
    _exposure(
        "star_trails",
        "Long Exposure",
        "stars",
        ("a few seconds", "an hour", "three hours", "all night"),
        (
            "How long was this long exposure of the stars?",
            "How long did the stars expose the film?",
        ),
        "The stars were exposed for {}.",
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
    _exposure(
        "clipping",
        "Recovery Attempts",
        "clipping",
        ("the shadows", "the highlights", "shadows and highlights", "nothing"),
        ("Which tones are lost beyond recovery?", "What can no longer be recovered?"),
        "Lost beyond recovery: {}.",
        ("Expose for the shadows.", "Expose for the highlights.", "Merge several exposures.", ""),
    ),
    _exposure(
        "iso_advice",
        "ISO",
        "noise",
        ("leave the ISO", "halve the ISO", "use ISO 800", "use ISO 100"),
        ("What should be done about the ISO?", "Which ISO would have exposed this better?"),
        "About the ISO: {}.",
        ("", "Halve the ISO.", "Use ISO 800.", "Use ISO 100."),
    ),
)
