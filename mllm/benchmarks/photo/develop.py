"""From a source and settings to a picture: the scene, the camera, the darkroom, in this order."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from mllm.benchmarks.photo.draw import draw_scene
from mllm.benchmarks.photo.draw.canvas import generator, to_encoded
from mllm.benchmarks.photo.frame import Frame
from mllm.benchmarks.photo.operations import OPERATIONS
from mllm.benchmarks.photo.photographs import photograph

SMALL = 160  # pixels: pictures up to this long are developed twice as large, and reduced


@dataclass(frozen=True)
class Source:
    """What is in front of the camera.

    Attributes:
      kind: "photograph", or a kind of scene.
      name: of the photograph, or the seed of the scene.
      width, height: of the finished picture, in pixels.
      box: of a photograph: the part that is shown, fractions of the whole.
    """

    kind: str
    name: str
    width: int
    height: int
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    @property
    def cluster(self) -> str:
        """What the picture is a sample of: the photograph or the scene."""
        return f"{self.kind}/{self.name}"


Edits = Mapping[str, Mapping[str, Any]]  # parameters by operation


def draw_edits(settings: Mapping[str, str], seed: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of settings by operation, in the order in which they are done."""
    return {
        name: one.parameters(settings[name], generator("edit", seed, name))
        for name, one in OPERATIONS.items()
        if name in settings
    }


def record_of(source: Source, settings: Mapping[str, str], edits: Edits) -> dict[str, Any]:
    """Return all that a picture was made from, as JSON values."""
    return {
        "source": {**asdict(source), "box": list(source.box)},
        "edits": [
            {"operation": name, "setting": settings[name], "parameters": dict(edits[name])}
            for name in edits
        ],
    }


def from_record(record: Mapping[str, Any]) -> tuple[Source, dict[str, dict[str, Any]]]:
    """Return the source and the edits of a record."""
    source = dict(record["source"])
    edits = {edit["operation"]: dict(edit["parameters"]) for edit in record["edits"]}
    return Source(**{**source, "box": tuple(source["box"])}), edits


def develop(source: Source, edits: Edits) -> np.ndarray:
    """Return the picture uint8[H, W, 3]: the same for the same arguments."""
    frame = seen(source, edits)
    for stage in ("light", "optics"):
        frame = _apply(frame, stage, edits)
    frame = _apply(frame.reduced(), "sensor", edits)
    frame = frame.lit(to_encoded(frame.light))
    for stage in ("tone", "finish"):
        frame = _apply(frame, stage, edits)
    return np.round(np.clip(frame.light, 0, 1) * 255).astype(np.uint8)


def seen(source: Source, edits: Edits) -> Frame:
    """Return what is in front of the camera, as large as the optics work on."""
    unit = 2 if max(source.width, source.height) <= SMALL else 1
    height, width = source.height * unit, source.width * unit
    if source.kind == "photograph":
        frame = photograph(source.name, source.box, height, width)
    else:
        layout = {name: edit for name, edit in edits.items() if OPERATIONS[name].stage == "scene"}
        frame = draw_scene(source.kind, source.name, height, width, layout)
    return replace(frame, unit=unit)


def _apply(frame: Frame, stage: str, edits: Edits) -> Frame:
    for name, parameters in edits.items():
        one = OPERATIONS[name]
        if one.stage == stage and one.change is not None:
            frame = one.change(frame, **parameters)
    return frame


def encode(pixels: np.ndarray) -> bytes:
    """Return a picture as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
