"""What can be asked about a picture, by topic."""

from mllm.benchmarks.photo.attributes import (
    colour,
    composition,
    equipment,
    exposure,
    focus,
    lens,
    techniques,
)
from mllm.benchmarks.photo.attributes.base import Attribute

ATTRIBUTES: dict[str, Attribute] = {
    one.name: one
    for module in (colour, composition, techniques, lens, equipment, exposure, focus)
    for one in module.ATTRIBUTES
}

__all__ = ["ATTRIBUTES", "Attribute"]
