"""Attributes of the topic Post-Processing."""

from mllm.benchmarks.photo.attributes.base import topic

_processing = topic("Post-Processing")

ATTRIBUTES = (
    _processing(
        "shadow_style",
        "Editing",
        "shadows",
        ("lifted to grey", "crushed to black", "tinted blue", "natural"),
        (
            "How were the shadows edited?",
            "What is the processing style of the photo's shadows?",
        ),
        "The shadows are {}.",
        ("Deepen the shadows.", "Open up the shadows.", "Take the blue out.", ""),
    ),
    _processing(
        "effects",
        "Effects",
        "effects",
        ("a pencil sketch", "a mosaic", "a double exposure", "no effect"),
        ("Which effect was added in post-processing?", "Which effect was applied?"),
        "The effect applied is {}.",
    ),
    _processing(
        "enhancement",
        "Enhancement",
        "detail",
        ("sharpen it", "leave it", "sharpen it less", "remove the halos"),
        ("Which enhancement would help the detail?", "How should the detail be enhanced?"),
        "For the detail: {}.",
        ("Sharpen the photo.", "", "Sharpen the photo less.", "Remove the halos."),
    ),
    _processing(
        "colour_manipulation",
        "Color Manipulation",
        "manipulation",
        ("inverted", "solarised", "posterised", "untouched"),
        ("How were the colours manipulated?", "Which colour manipulation was applied?"),
        "The colours were {}.",
    ),
    _processing(
        "retouching",
        "Retouching",
        "retouching",
        ("at the upper left", "at the upper right", "at the lower left", "at the lower right"),
        ("Where was the photo retouched?", "Where did retouching leave a patch?"),
        "Retouching left a patch {}.",
        ("Retouch the upper left again.", "Retouch the upper right again.",
         "Retouch the lower left again.", "Retouch the lower right again."),
    ),
    _processing(
        "dehazing",
        "Dehazing",
        "haze",
        ("dense haze", "light haze", "no haze", "too much dehazing"),
        ("How much haze is left to remove?", "What would you say about dehazing?"),
        "There is {}.",
        ("Dehaze the photo strongly.", "Dehaze the photo a little.", "", "Dehaze it less."),
    ),
    _processing(
        "chromatic_aberration",
        "Chromatic Aberration",
        "chromatic",
        ("red and cyan", "blue and yellow", "green and magenta", "none"),
        (
            "Which colours has the chromatic aberration?",
            "Which coloured fringes does chromatic aberration leave?",
        ),
        "The chromatic aberration is {}.",
        ("Remove the red fringes.", "Remove the blue fringes.", "Remove the green fringes.", ""),
    ),
    _processing(
        "lens_correction",
        "Lens Correction",
        "vignette",
        ("brighten the corners strongly", "brighten the corners", "leave the corners",
         "darken the corners"),
        ("Which lens correction do the corners need?", "How should the corners be corrected?"),
        "The lens correction to make is: {}.",
        ("Brighten the corners strongly.", "Brighten the corners.", "", "Darken the corners."),
    ),
    _processing(
        "dodging",
        "Dodging and Burning",
        "dodging",
        ("the subject was dodged", "the subject was burned", "the surroundings were burned",
         "neither was used"),
        ("How were dodging and burning used?", "What was dodged or burned?"),
        "Of dodging and burning: {}.",
    ),
)  # fmt: skip
