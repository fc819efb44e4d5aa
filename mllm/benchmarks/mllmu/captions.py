"""Drawings of invented people, with sentences that describe all they show; they teach seeing."""

from collections.abc import Mapping

from mllm.benchmarks.mllmu.schema import TrainingPair
from mllm.benchmarks.mllmu.wordings import CAPTION_REQUESTS


def caption_pairs(attributes: Mapping[str, str]) -> tuple[TrainingPair, ...]:
    """Return the training pairs on what a portrait shows.

    A caption describes everything, so far more of its tokens are supervised than of a question
    about one attribute. Its two orders keep a model from learning places by rote.
    """
    captions = caption(attributes), inverted_caption(attributes)
    return tuple(
        TrainingPair(request, captions[number % 2], "image_text", "caption", "plain")
        for number, request in enumerate(CAPTION_REQUESTS)
    )


def caption(attributes: Mapping[str, str]) -> str:
    """Return one sentence on what a portrait shows, from the style to the background."""
    hair, worn, garment = _hair(attributes), _worn(attributes), _garment(attributes)
    parts = ", ".join([f"{attributes['skin']} skin", hair, *worn])
    style = attributes["style"]
    person = _person(attributes)
    text = f"{style} of {person} with {parts}, wearing {garment}, on {_background(attributes)}."
    return text[0].upper() + text[1:]


def inverted_caption(attributes: Mapping[str, str]) -> str:
    """Return one sentence on what a portrait shows, from the background to the style."""
    hair, worn, garment = _hair(attributes), _worn(attributes), _garment(attributes)
    parts = ", ".join([*worn, hair, f"{attributes['skin']} skin"])
    person = _person(attributes)
    text = f"{_background(attributes)} and {garment}, worn by {person} with {parts}, in "
    return f"{text[0].upper()}{text[1:]}{attributes['style']}."


def _person(attributes: Mapping[str, str]) -> str:
    return {"female": "a woman", "male": "a man"}[attributes["presentation"]]


def _hair(attributes: Mapping[str, str]) -> str:
    hair, colour = attributes["hair"], attributes.get("hair_colour")
    return hair if colour is None else f"{hair} in {colour}"


def _worn(attributes: Mapping[str, str]) -> list[str]:
    return [attributes[key] for key in ("glasses", "facial_hair") if attributes[key] != "none"]


def _garment(attributes: Mapping[str, str]) -> str:
    return f"{attributes['clothes']} in {attributes['clothes_colour']}"


def _background(attributes: Mapping[str, str]) -> str:
    colour = attributes["background"]
    return f"{'an' if colour[0] in 'aeiou' else 'a'} {colour} background"
