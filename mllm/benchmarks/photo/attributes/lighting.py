"""Attributes of the topic Lighting."""

from mllm.benchmarks.photo.attributes.base import topic

_lighting = topic("Lighting")

ATTRIBUTES = (
    _lighting(
        "light_direction",
        "Direction",
        "light_direction",
        ("from the left", "from the right", "from above", "from below", "from the front"),
        ("From which direction does the light come?", "Where does the main light come from?"),
        "The light comes {}.",
    ),
    _lighting(
        "light_effect",
        "Effect",
        "light_effect",
        ("a silhouette", "a bright rim", "a round spot", "even light"),
        ("Which effect does the lighting have?", "Which lighting effect shows the subject?"),
        "The effect of the lighting is {}.",
    ),
    _lighting(
        "light_setup",
        "Techniques",
        "lights",
        ("one side lamp", "two side lamps", "a lamp overhead", "a ring light"),
        ("Which lighting technique was used?", "How are the lamps set up?"),
        "The lighting technique is {}.",
    ),
    _lighting(
        "cast_shadow",
        "Light and Shadow",
        "cast_shadow",
        ("no shadow", "a short shadow", "a long shadow leftwards", "a long shadow rightwards"),
        ("Which shadow does the subject cast?", "How do light and shadow fall on the ground?"),
        "On the ground is {}.",
    ),
    _lighting(
        "shadow_enhancement",
        "Shadow Enhancement",
        "shadows",
        ("deepen the shadows", "open up the shadows", "neutralise the shadows",
         "keep the shadows"),
        ("How could the shadows be enhanced?", "Which enhancement do the shadows need?"),
        "The enhancement to make is: {}.",
        ("Deepen the shadows.", "Open up the shadows.", "Neutralise the blue shadows.", ""),
    ),
    _lighting(
        "light_adjustment",
        "Adjustment",
        "falloff",
        ("the left side", "the right side", "the upper part", "the lower part"),
        ("Which part needs more light?", "Where should the lighting be adjusted?"),
        "More light is needed by {}.",
        ("Light the left side.", "Light the right side.", "Light the upper part.",
         "Light the lower part."),
    ),
    _lighting(
        "light_colour",
        "Lighting and Color",
        "gels",
        ("orange left and blue right", "blue left and orange right", "orange everywhere",
         "blue everywhere"),
        ("Which colours does the light have?", "How is the lighting coloured?"),
        "The light is {}.",
    ),
    _lighting(
        "light_contrast",
        "Lighting and Contrast",
        "fill",
        ("extreme", "high", "low", "minimal"),
        (
            "How high is the contrast of the lighting?",
            "Which contrast does the lighting give the subject?",
        ),
        "The contrast of the lighting is {}.",
        ("Add fill light.", "", "", "Use less fill light."),
    ),
)  # fmt: skip
