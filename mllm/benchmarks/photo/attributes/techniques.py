"""Attributes of the topics Photography Techniques and Technical Aspects."""

from mllm.benchmarks.photo.attributes.base import topic

_technique = topic("Photography Techniques")
_technical = topic("Technical Aspects")

ATTRIBUTES = (
    _technique(
        "depth_of_field",
        "Depth of Field",
        "aperture",
        ("very deep", "moderate", "shallow", "extremely shallow"),
        ("How deep is the depth of field?", "What is the depth of field like?"),
        "The depth of field is {}.",
    ),
    _technique(
        "smooth_water",
        "Long Exposure",
        "water",
        ("frozen waves", "softened waves", "silky water", "a smooth mist"),
        (
            "What did the long exposure make of the water?",
            "How does the exposure time show in the water?",
        ),
        "The water shows {}.",
    ),
    _technique(
        "motion_direction",
        "Motion Blur",
        "shake",
        ("left to right", "rising diagonal", "up and down", "falling diagonal"),
        ("In which direction is the motion blur?", "Along which line did the camera move?"),
        "The motion blur runs {}.",
        ("Hold the camera still.",) * 4,
    ),
    _technique(
        "shutter_speed",
        "Shutter Speed",
        "shutter",
        ("1/1000 s", "1/60 s", "1/15 s", "1/4 s"),
        (
            "Which shutter speed does the motion blur suggest?",
            "What was the shutter speed of this photo?",
        ),
        "The shutter speed was {}.",
        ("", "Choose a faster shutter.", "Choose a faster shutter.", "Use a tripod."),
    ),
    _technique(
        "filter",
        "Use of Filter",
        "filter",
        ("a graduated filter", "a diffusion filter", "a red filter", "no filter"),
        ("Which filter was used?", "Which filter is in front of the lens?"),
        "It was taken with {}.",
    ),
    _technical(
        "detail",
        "Detail Enhancement/Rendering",
        "detail",
        ("smeared", "natural", "crisp", "with halos"),
        ("How is fine detail rendered?", "What does the rendering of detail look like?"),
        "Fine detail is rendered {}.",
        ("Sharpen the photo.", "", "", "Reduce the sharpening."),
    ),
    _technical(
        "weather",
        "Environmental Impact",
        "weather",
        ("clear air", "fog", "rain", "snow"),
        (
            "Which weather affects the photo?",
            "Which impact does the environment have on the photo?",
        ),
        "The environment brings {}.",
    ),
    _technical(
        "hdr",
        "HDR Impact",
        "hdr",
        ("no HDR effect", "bright halos", "flat grey tones", "garish colours"),
        ("Which impact has HDR processing here?", "What did HDR processing do to the photo?"),
        "HDR processing gave {}.",
        ("", "Reduce the local contrast.", "Keep more of the contrast.", "Use less HDR."),
    ),
    _technical(
        "file_quality",
        "Technical Knowledge/Quality",
        "quality",
        ("a clean file", "compression blocks", "tonal bands", "large pixels"),
        ("What limits the technical quality of the file?", "Which technical defect is there?"),
        "Technically it has {}.",
        ("", "Compress the file less.", "Save more tones.", "Use a higher resolution."),
    ),
    _technical(
        "viewpoint",
        "Image Perception and Architecture",
        "viewpoint",
        ("from the front", "from below", "at the corner", "from inside"),
        (
            "From which viewpoint is the architecture seen?",
            "How does the viewpoint present the building?",
        ),
        "The building is seen {}.",
    ),
)
