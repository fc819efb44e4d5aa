"""What can be asked about a picture, by topic."""

from mllm.benchmarks.photo.attributes import (
    colour,
    composition,
    equipment,
    exposure,
    focus,
    lens,
    lighting,
    processing,
    techniques,
)
from mllm.benchmarks.photo.attributes.base import Attribute

MODULES = (
    colour, composition, techniques, lens, equipment, lighting, exposure, processing, focus
)  # fmt: skip
ATTRIBUTES: dict[str, Attribute] = {
    one.name: one for module in MODULES for one in module.ATTRIBUTES
}

__all__ = ["ATTRIBUTES", "Attribute"]
