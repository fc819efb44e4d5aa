"""Encoders of pictures: each is a module of one config that maps the pixels of its own square
canvas to the tokens of a grid; ``bank`` runs several of them on one picture.

A module is called with pixels float[B, S, S, 3], normalised with ``mean`` and ``std`` of its config
and 0 where the canvas is padding, and extents i32[B, 2], height and width of what is real. It
returns float[B, N, D], row by row. Its config has ``image_size`` (S), ``grid`` (cells along one
side), ``tokens`` (N), ``width`` (D), ``mean`` and ``std``.
"""

from typing import NamedTuple

import flax.linen as nn

from mllm.models.encoders.colour import ColourEncoder
from mllm.models.encoders.sam import SamConfig, SamEncoder
from mllm.models.encoders.spectrum import SpectrumConfig, SpectrumEncoder
from mllm.models.encoders.statistics import StatisticsConfig
from mllm.models.vit import VisionConfig, VisionTower


class Kind(NamedTuple):
    """A kind of encoder: its config, its module, and whether it computes in float32 throughout."""

    config: type
    module: type[nn.Module]
    exact: bool = False


ENCODERS = {
    "vit": Kind(VisionConfig, VisionTower),
    "colour": Kind(StatisticsConfig, ColourEncoder, exact=True),
    "sam": Kind(SamConfig, SamEncoder),
    "spectrum": Kind(SpectrumConfig, SpectrumEncoder, exact=True),
}
