"""Attributes of the topic Camera/Equipment."""

from mllm.benchmarks.photo.attributes.base import topic

_camera = topic("Camera/Equipment")

ATTRIBUTES = (
    _camera(
        "wrong_setting",
        "Camera Settings",
        "fault",
        ("shutter too slow", "wrong focus distance", "ISO too high", "exposure too long",
         "all settings right"),
        ("Which camera setting is wrong?", "Which setting of the camera spoils the photo?"),
        "Of the camera settings: {}.",
        ("Choose a faster shutter.", "Focus on the subject.", "Choose a lower ISO.",
         "Expose shorter.", ""),
    ),
    _camera(
        "flash",
        "Flash Usage",
        "flash",
        ("no flash", "flash on the camera", "flash from the left", "flash from the right"),
        ("How was flash used?", "Where did the flash stand?"),
        "The portrait was taken with {}.",
        ("Light the face.", "Move the flash off the camera.", "", ""),
    ),
    _camera(
        "film",
        "Film Type",
        "film",
        ("black-and-white film", "slide film", "instant film", "infrared film"),
        ("Which type of film does the photo look like?", "Which film type gives this look?"),
        "It looks like {}.",
    ),
    _camera(
        "lens_class",
        "Lens Choice/Type",
        "focal_length",
        ("ultra-wide lens", "standard lens", "short telephoto", "long telephoto"),
        ("Which kind of lens is on the camera?", "Which lens should the camera carry for this?"),
        "On the camera is a(n) {}.",
    ),
    _camera(
        "iso",
        "ISO Setting",
        "noise",
        ("ISO 100", "ISO 1600", "ISO 6400", "ISO 25600"),
        ("Which ISO setting does the grain suggest?", "At which ISO was the photo taken?"),
        "The noise is that of {}.",
        ("", "", "Choose a lower ISO.", "Choose a much lower ISO."),
    ),
    _camera(
        "noise_kind",
        "ISO/Noise Management",
        "noise_kind",
        ("clean", "grainy", "full of coloured specks", "smeared by noise reduction"),
        ("How well is the noise managed?", "What does noise management leave to see?"),
        "Noise management left it {}.",
        ("", "Reduce the grain.", "Reduce the coloured specks.", "Reduce noise less."),
    ),
    _camera(
        "blur_kind",
        "Sharpness/Blur",
        "blur_kind",
        ("no blur", "motion blur", "focus blur", "zoom blur"),
        ("Which kind of blur does the camera show?", "What kind of blur is in the photo?"),
        "The camera shows {}.",
        ("", "Hold the camera still.", "Focus on the subject.", ""),
    ),
)  # fmt: skip
