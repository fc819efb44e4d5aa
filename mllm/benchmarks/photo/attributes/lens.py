"""Attributes of the topic Lens."""

from mllm.benchmarks.photo.attributes.base import topic

_lens = topic("Lens")

ATTRIBUTES = (
    _lens(
        "lens_choice",
        "Choice",
        "focal_length",
        ("20 mm", "50 mm", "135 mm", "400 mm"),
        (
            "Which focal length was chosen?",
            "Which lens choice gives this view of the mountain?",
        ),
        "The focal length is {}.",
    ),
    _lens(
        "distortion",
        "Distortion",
        "distortion",
        ("barrel", "pincushion", "wavy", "none"),
        ("Which distortion does the lens show?", "How does the lens distort straight lines?"),
        "The distortion of the lens is {}.",
        ("Correct the barrel distortion.", "Correct the pincushion distortion.",
         "Correct the wavy distortion.", ""),
    ),
    _lens(
        "lens_effect",
        "Effect",
        "lens_effect",
        ("flare with ghosts", "a star of rays", "a soft glow", "no effect"),
        ("Which effect does the lens add?", "What does bright light cause in the lens?"),
        "The lens adds {}.",
        ("Shade the lens.", "", "", ""),
    ),
    _lens(
        "lens_flaw",
        "Flaws",
        "lens_flaw",
        ("coloured fringes", "black corners", "soft edges", "dust spots", "no flaw"),
        ("Which flaw of the lens is visible?", "Which lens flaw spoils the photo?"),
        "The lens shows {}.",
        ("Remove the coloured fringes.", "Brighten the black corners.", "Stop the lens down.",
         "Clean off the dust.", ""),
    ),
    _lens(
        "lens_type",
        "Type",
        "lens_type",
        ("fisheye", "tilt-shift", "swirling Petzval", "ordinary"),
        ("Which type of lens was used?", "What type of lens took this photo?"),
        "The type of lens is {}.",
    ),
    _lens(
        "scale",
        "Effect on Scale Perception",
        "focal_length",
        ("tiny", "small", "large", "towering"),
        (
            "How does the lens let the mountain's scale appear?",
            "Which scale does the lens give the mountain?",
        ),
        "The scale of the mountain is {}.",
    ),
)  # fmt: skip
