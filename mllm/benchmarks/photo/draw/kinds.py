"""The kinds of scenes, and what each of them can show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mllm.benchmarks.photo.draw import built, outdoors, studio
from mllm.benchmarks.photo.draw.canvas import generator
from mllm.benchmarks.photo.draw.parts import Layout
from mllm.benchmarks.photo.frame import Frame
from mllm.registry import lookup

RIGGED = "light_direction light_effect lights fill"


@dataclass(frozen=True)
class Kind:
    """A kind of scene.

    Attributes:
      draw: (generator, height, width, layout) -> Frame.
      title: what it shows, after "A photo of".
      offers: what operations may need: "subject" and "depth" are known; "planes" lie at several
        distances; there are "texture", hard "edges", clear "colours", "straight" lines, a level
        "horizon"; the halves are "uneven". Also the names of the operations of the stage "scene"
        that it can be drawn with.
    """

    draw: Callable[..., Frame]
    title: str
    offers: frozenset[str]


def _kind(draw: Callable[..., Frame], title: str, offers: str) -> Kind:
    return Kind(draw, title, frozenset(offers.split()))


KINDS: dict[str, Kind] = {
    "landscape": _kind(
        outdoors.landscape,
        "a mountain landscape",
        "subject depth planes texture colours uneven horizon placement horizon_height ridges "
        "framing",
    ),
    "seascape": _kind(
        outdoors.seascape,
        "the sea",
        "subject depth texture colours uneven horizon horizon_height water framing",
    ),
    "minimal": _kind(
        outdoors.minimal, "something in the sky", "subject colours placement extent temperature"
    ),
    "trees": _kind(
        outdoors.trees,
        "trees in a field",
        "subject depth planes texture colours uneven horizon balance cast_shadow",
    ),
    "night": _kind(outdoors.night, "the stars", "stars"),
    "tower": _kind(
        outdoors.tower, "a lighthouse", "subject texture colours uneven horizon focal_length"
    ),
    "still_life": _kind(
        studio.still_life,
        "fruit on a table",
        f"subject depth planes texture colours background extent cast_shadow {RIGGED}",
    ),
    "portrait": _kind(
        studio.portrait,
        "a person",
        f"subject depth texture colours background flash {RIGGED}",
    ),
    "flower": _kind(
        studio.flower,
        "a flower",
        "subject depth texture colours placement extent background temperature",
    ),
    "road": _kind(built.road, "a road", "depth planes texture edges colours horizon leading_lines"),
    "lines": _kind(built.lines, "a pattern of boards", "lines"),
    "facade": _kind(built.facade, "a building", "texture edges straight viewpoint"),
    "skyline": _kind(built.skyline, "a city", "depth texture edges colours uneven horizon"),
    "forest": _kind(
        built.forest,
        "a walker in a forest",
        "subject depth planes texture edges colours uneven horizon",
    ),
    "huts": _kind(
        built.huts,
        "a row of huts",
        "texture edges colours straight palette coordination accent",
    ),
    "street": _kind(built.lamp_posts, "a street at night", "subject texture horizon"),
}


def draw_scene(
    kind: str, seed: str, height: int, width: int, layout: Mapping[str, Mapping[str, Any]]
) -> Frame:
    """Draw a scene: the same arrays for the same arguments.

    Args:
      kind: of `KINDS`.
      seed: of all that the layout does not set.
      height, width: in pixels.
      layout: parameters of the operations of the stage "scene", by operation.
    """
    parts = Layout({name: dict(values) for name, values in layout.items()})
    draw = lookup(KINDS, kind, "kind of scene").draw
    frame = draw(generator("scene", kind, seed), height, width, parts)
    maps = [
        None if found is None else np.asarray(found, np.float32)
        for found in (frame.subject, frame.depth)
    ]
    return Frame(frame.light.astype(np.float32), *maps, facts=frame.facts)
