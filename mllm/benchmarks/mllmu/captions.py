"""Drawings of nobody in particular, with questions on what they show: they teach seeing."""

from collections.abc import Mapping

from mllm.benchmarks.mllmu.schema import TrainingPair
from mllm.benchmarks.mllmu.wordings import CAPTION_REQUEST, VISIBLE_QUESTIONS


def caption_pairs(attributes: Mapping[str, str]) -> tuple[TrainingPair, ...]:
    """Return the training pairs on what a portrait shows, the last one its caption."""
    pairs = [
        TrainingPair(question, attributes[attribute], "image_text", attribute, "plain")
        for attribute, questions in VISIBLE_QUESTIONS.items()
        if attribute in attributes
        for question in questions
    ]
    sentence = caption(attributes)
    pairs.append(TrainingPair(CAPTION_REQUEST, sentence, "image_text", "caption", "sentence"))
    return tuple(pairs)


def caption(attributes: Mapping[str, str]) -> str:
    """Return one sentence on what a portrait shows."""
    person = {"female": "a woman", "male": "a man"}[attributes["presentation"]]
    hair = attributes["hair"]
    if "hair_colour" in attributes:
        hair = f"{hair} in {attributes['hair_colour']}"
    worn = [attributes[key] for key in ("glasses", "facial_hair") if attributes[key] != "none"]
    parts = ", ".join([hair, *worn])
    style = attributes["style"].split(" ", 1)
    return (
        f"{style[0].capitalize()} {style[1]} of {person} with {parts}, wearing "
        f"{attributes['clothes']} in {attributes['clothes_colour']}, on a "
        f"{attributes['background']} background."
    ).replace("on a orange", "on an orange")
