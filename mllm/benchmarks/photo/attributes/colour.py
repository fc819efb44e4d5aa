"""Attributes of the topic Color."""

from mllm.benchmarks.photo.attributes.base import topic

_color = topic("Color")

ATTRIBUTES = (
    _color(
        "colour_balance",
        "Balance",
        "cast",
        ("add magenta", "add green", "add red", "add cyan", "add nothing"),
        (
            "What would balance the colours of this photo?",
            "Which colour should be added to balance this photo?",
        ),
        "To balance the colours, {}.",
        (
            "Add magenta to the whole photo.",
            "Add green to the whole photo.",
            "Add red to the whole photo.",
            "Add cyan to the whole photo.",
            "",
        ),
    ),
    _color(
        "colour_scheme",
        "Theory",
        "palette",
        ("complementary colours", "neighbouring colours", "shades of one colour", "a triad"),
        (
            "Which colour scheme do the colours follow?",
            "In colour theory, how are the colours of this photo related?",
        ),
        "The colour scheme is {}.",
    ),
    _color(
        "colour_adjustment",
        "Adjustment",
        "saturation",
        (
            "bring the colours back",
            "raise the saturation",
            "keep the saturation",
            "lower the saturation",
        ),
        (
            "How should the saturation be adjusted?",
            "Which adjustment do the colours need?",
        ),
        "The adjustment to make is: {}.",
        (
            "Bring the colours back.",
            "Raise the saturation.",
            "",
            "Lower the saturation.",
        ),
    ),
    _color(
        "accent",
        "Composition",
        "accent",
        ("on the left", "in the middle", "on the right", "nowhere"),
        (
            "Where is the colour accent of the photo?",
            "Where in the photo does one colour stand out?",
        ),
        "The colour accent is {}.",
        ("", "", "", "Look for one colour that stands out."),
    ),
    _color(
        "warm_cool",
        "Contrast",
        "temperature",
        (
            "warm on cool",
            "cool on warm",
            "warm on warm",
            "cool on cool",
        ),
        (
            "How do the colours of subject and background contrast?",
            "Is the subject warmer or cooler than the background?",
        ),
        "The colours of subject and background are {}.",
        ("", "", "Choose a cool background.", "Choose a warm background."),
    ),
    _color(
        "coordination",
        "Coordination",
        "coordination",
        (
            "all alike",
            "one differs",
            "two take turns",
            "all different",
        ),
        (
            "How are the colours of the row coordinated?",
            "How do the colours in the row go together?",
        ),
        "The colours of the row are: {}.",
    ),
    _color(
        "cast",
        "Correction",
        "cast",
        ("a green cast", "a magenta cast", "a cyan cast", "a red cast", "no cast"),
        (
            "Which colour cast needs correction?",
            "What colour cast does the photo have?",
        ),
        "The photo has {}.",
        (
            "Remove the green cast.",
            "Remove the magenta cast.",
            "Remove the cyan cast.",
            "Remove the red cast.",
            "",
        ),
    ),
    _color(
        "grading",
        "Grading",
        "grading",
        (
            "orange highlights over teal shadows",
            "teal highlights over orange shadows",
            "magenta highlights over green shadows",
            "no grading",
        ),
        (
            "Which colour grading was used?",
            "How are shadows and highlights graded?",
        ),
        "The grading is {}.",
    ),
    _color(
        "selective_colour",
        "Manipulation",
        "selective",
        ("only the subject", "only the surroundings", "everything", "nothing"),
        (
            "What was left in colour when the colours were manipulated?",
            "Which part of the photo is in colour?",
        ),
        "In colour is {}.",
    ),
    _color(
        "white_balance",
        "White Balance",
        "white_balance",
        ("far too blue", "slightly too blue", "neutral", "too orange"),
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
    _color(
        "tonal_key",
        "Tone",
        "tonal_key",
        ("high key", "low key", "faded and matte", "full range"),
        ("Which tones does the photo have?", "What is the tonal range of this photo?"),
        "The tones are {}.",
        ("", "", "Deepen the blacks.", ""),
    ),
    _color(
        "hue",
        "Hue",
        "toning",
        ("sepia", "blue", "green", "violet"),
        ("In which hue is the photo toned?", "What is the hue of this photo?"),
        "The hue of the photo is {}.",
    ),
)
