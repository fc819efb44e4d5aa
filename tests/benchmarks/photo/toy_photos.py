"""Photographs made up for tests: flat pictures, with questions about their grey and hue."""

import io
import random

from PIL import Image

from mllm.benchmarks.photo.row import Critique, Photo, Question

GREYS = ("very dark", "dark", "bright", "very bright")
HUES = ("red", "green", "blue", "grey")
COLOURS = {"red": (1, 0.5, 0.5), "green": (0.5, 1, 0.5), "blue": (0.5, 0.5, 1), "grey": (1, 1, 1)}


def picture(grey: str, hue: str) -> bytes:
    level = 50 + 50 * GREYS.index(grey)
    buffer = io.BytesIO()
    colour = tuple(round(level * part) for part in COLOURS[hue])
    Image.new("RGB", (24, 16), colour).save(buffer, "PNG")
    return buffer.getvalue()


def toy_photo(number: int, split: str = "test", each: int = 2) -> Photo:
    """Return a photograph; ``each`` of them are of one source."""
    rng = random.Random(f"{split} {number}")
    grey, hue = rng.choice(GREYS), rng.choice(HUES)
    questions = []
    for name, values, value, topic, subtopic in (
        ("grey", GREYS, grey, "Exposure", "Settings"),
        ("hue", HUES, hue, "Color", "Hue"),
    ):
        options = tuple(rng.sample(values, 4))
        id = f"{split}/{number}/{name}"
        asked = f"What is the {name}?"
        key = options.index(value)
        questions.append(Question(id, topic, subtopic, name, asked, options, key))
    critique = Critique(
        description=f"The exposure is {grey}. The colour is {hue}.",
        weaknesses="Nothing happens in it.",
        advice="Wait for a subject.",
        statements={
            "Exposure": (f"The exposure is {grey}.",),
            "Color": (f"The colour is {hue}.",),
        },
    )
    conversation = (
        ("user", "What is the hue?"), ("assistant", hue),
        ("user", "What is the grey?"), ("assistant", grey),
    )  # fmt: skip
    return Photo(
        id=f"{split}/{number}",
        source=f"{split} source {number // each}",
        split=split,
        picture=picture(grey, hue),
        facts={"grey": grey, "hue": hue},
        record={},
        questions=tuple(questions),
        critique=critique,
        conversation=conversation,
        licence="CC0-1.0",
    )
