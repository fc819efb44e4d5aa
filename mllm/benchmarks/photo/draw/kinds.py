"""The kinds of scenes, and what each of them can show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mllm.benchmarks.photo.draw.canvas import generator
from mllm.benchmarks.photo.draw.indoors import still_life
from mllm.benchmarks.photo.draw.outdoors import landscape, seascape
from mllm.benchmarks.photo.draw.parts import Layout
from mllm.benchmarks.photo.frame import Frame
from mllm.registry import lookup


@dataclass(frozen=True)
class Kind:
    """A kind of scene.

    Attributes:
      draw: (generator, height, width, layout) -> Frame.
      title: what it shows, after "A photo of".
      offers: what operations may need: "depth", "subject", "horizon", and the names of the
        operations of the stage "scene" that it can be drawn with.
    """

    draw: Callable[..., Frame]
    title: str
    offers: frozenset[str]


KINDS: dict[str, Kind] = {
    "landscape": Kind(
        landscape,
        "a mountain landscape",
        frozenset({"depth", "subject", "horizon", "placement"}),
    ),
    "seascape": Kind(seascape, "a boat at sea", frozenset({"depth", "subject", "horizon"})),
    "still_life": Kind(
        still_life, "fruit on a table", frozenset({"depth", "subject", "placement"})
    ),
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
    return frame.lit(frame.light)
