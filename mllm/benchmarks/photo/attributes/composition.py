"""Attributes of the topic Composition."""

from mllm.benchmarks.photo.attributes.base import topic

_composition = topic("Composition")

ATTRIBUTES = (
    _composition(
        "frame_division",
        "Frame Division",
        "horizon_height",
        (
            "near the top",
            "on the upper third",
            "on the lower third",
            "near the bottom",
        ),
        (
            "Where does the horizon divide the frame?",
            "At what height is the frame divided?",
        ),
        "The horizon is {}.",
        ("Lower the horizon.", "", "", "Raise the horizon."),
    ),
    _composition(
        "visual_balance",
        "Balance",
        "balance",
        ("heavy on the left", "heavy on the right", "even on both sides", "heavy in the middle"),
        (
            "How is the visual weight balanced?",
            "On which side is the weight of the composition?",
        ),
        "The composition is {}.",
        ("Move the camera to the left.", "Move the camera to the right.", "", ""),
    ),
    _composition(
        "negative_space",
        "Negative Space",
        "extent",
        ("none", "some", "much", "almost all"),
        (
            "How much of the frame is negative space?",
            "How much empty space surrounds the subject?",
        ),
        "The negative space is {} of the frame.",
        ("Leave more space around the subject.", "", "", "Go closer to the subject."),
    ),
    _composition(
        "distraction",
        "Detail",
        "distraction",
        ("at the left edge", "at the right edge", "at the top edge", "at the bottom edge",
         "nowhere"),
        (
            "Where does a detail distract at the edge?",
            "At which edge is a distracting detail?",
        ),
        "A distracting detail is {}.",
        ("Crop the left edge.", "Crop the right edge.", "Crop the top edge.",
         "Crop the bottom edge.", ""),
    ),
    _composition(
        "line_direction",
        "Directional Lines",
        "lines",
        ("horizontal", "rising diagonals", "vertical", "falling diagonals"),
        (
            "In which direction do the lines run?",
            "Which directional lines shape the photo?",
        ),
        "The lines are {}.",
    ),
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
        "framing",
        "Framing",
        "framing",
        ("no frame", "a round opening", "an arch", "a window"),
        (
            "What frames the scene?",
            "Through which frame is the scene seen?",
        ),
        "The scene is framed by {}.",
    ),
    _composition(
        "leading_lines",
        "Leading Lines",
        "leading_lines",
        ("to the left", "to the middle", "to the right", "across the frame"),
        (
            "Where do the leading lines lead?",
            "To which point does the road lead the eye?",
        ),
        "The leading lines lead {}.",
        ("", "", "", "Stand on the road, so that it leads into the photo."),
    ),
    _composition(
        "symmetry",
        "Symmetry",
        "mirror",
        ("left and right", "top and bottom", "both ways", "no symmetry"),
        (
            "Which symmetry does the photo have?",
            "Which halves of the photo mirror each other?",
        ),
        "The symmetry is: {}.",
    ),
    _composition(
        "perspective",
        "Perspective",
        "keystone",
        ("towards the top", "towards the bottom", "towards the left", "towards the right"),
        (
            "In which direction does the perspective converge?",
            "Where do the parallel lines converge in perspective?",
        ),
        "The perspective converges {}.",
        ("Hold the camera level.", "Hold the camera level.", "Stand straight before the subject.",
         "Stand straight before the subject."),
    ),
    _composition(
        "background",
        "Background Treatment",
        "background",
        ("plain", "busy", "softly blurred", "black"),
        ("How is the background treated?", "What is the background like?"),
        "The background is {}.",
        ("", "Choose a calmer background.", "", ""),
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
