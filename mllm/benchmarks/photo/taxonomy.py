"""Topics and sub-topics of PhotoBench, and which of them an edit can key.

The names and their order are those of the paper's figures (arXiv 2509.18582).
"""

from mllm.benchmarks.photo.attributes import ATTRIBUTES, Attribute

TOPICS: dict[str, tuple[str, ...]] = {
    "Color": (
        "Balance",
        "Theory",
        "Adjustment",
        "Composition",
        "Contrast",
        "Coordination",
        "Correction",
        "Grading",
        "Manipulation",
        "White Balance",
        "Saturation",
        "Tone",
        "Hue",
    ),
    "Composition": (
        "Frame Division",
        "Balance",
        "Negative Space",
        "Detail",
        "Directional Lines",
        "Focal Point",
        "Framing",
        "Leading Lines",
        "Symmetry",
        "Perspective",
        "Background Treatment",
        "Composition and Cropping",
    ),
    "Photography Techniques": (
        "Depth of Field",
        "Long Exposure",
        "Motion Blur",
        "Shutter Speed",
        "Use of Filter",
    ),
    "Technical Aspects": (
        "Detail Enhancement/Rendering",
        "Environmental Impact",
        "HDR Impact",
        "Technical Knowledge/Quality",
        "Image Perception and Architecture",
    ),
    "Lens": ("Choice", "Distortion", "Effect", "Flaws", "Type", "Effect on Scale Perception"),
    "Camera/Equipment": (
        "Camera Settings",
        "Flash Usage",
        "Film Type",
        "Lens Choice/Type",
        "ISO Setting",
        "ISO/Noise Management",
        "Sharpness/Blur",
    ),
    "Lighting": (
        "Direction",
        "Effect",
        "Techniques",
        "Light and Shadow",
        "Shadow Enhancement",
        "Adjustment",
        "Lighting and Color",
        "Lighting and Contrast",
    ),
    "Exposure": (
        "Adjustment",
        "Settings",
        "Long Exposure",
        "Contrast",
        "Recovery Attempts",
        "ISO",
    ),
    "Post-Processing": (
        "Editing",
        "Effects",
        "Enhancement",
        "Color Manipulation",
        "Retouching",
        "Dehazing",
        "Chromatic Aberration",
        "Lens Correction",
        "Dodging and Burning",
    ),
    "Aperture and Focus": (
        "Aperture Setting",
        "Focus",
        "Depth of Field",
        "Focus and Sharpness",
        "Depth of Perception",
    ),
    "Storytelling": ("Narrative", "Thematic", "Emotion", "Expression"),
}

UNKEYED: dict[tuple[str, str], str] = {
    ("Storytelling", "Narrative"): "what a photo tells is not a parameter of any edit",
    ("Storytelling", "Thematic"): "a theme is a matter of reading, not of a recorded parameter",
    ("Storytelling", "Emotion"): "what viewers feel can only be known by asking them",
    ("Storytelling", "Expression"): "an edit that changes a face's expression would be invented",
}


def attributes_of(topic: str, subtopic: str) -> tuple[Attribute, ...]:
    """Return the attributes that ask about a sub-topic."""
    return tuple(
        one for one in ATTRIBUTES.values() if (one.topic, one.subtopic) == (topic, subtopic)
    )


__all__ = ["ATTRIBUTES", "TOPICS", "UNKEYED", "Attribute", "attributes_of"]
