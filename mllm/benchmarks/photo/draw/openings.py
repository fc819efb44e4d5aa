"""Frames within the frame: a scene seen through an opening."""

from dataclasses import replace

import numpy as np

from mllm.benchmarks.photo.draw.canvas import colour, grid, mix, smooth
from mllm.benchmarks.photo.draw.parts import Layout, grain
from mllm.benchmarks.photo.frame import Frame


def framed(rng: np.random.Generator, frame: Frame, layout: Layout) -> Frame:
    """Return the scene seen through the opening that the operation "framing" asks for."""
    opening = layout.get("framing", "opening", "none")
    if opening == "none":
        return frame
    height, width = frame.shape
    x, y = grid(height, width)
    wall = 1 - _inside(x / (width / height), y + 0 * x, opening)
    stone = grain(rng, colour("#2a221c") + 0 * frame.light, 0.25)
    light = mix(frame.light, stone, wall)
    subject = None if frame.subject is None else frame.subject * (1 - wall)
    depth = None if frame.depth is None else np.where(wall > 0.5, 0.05, frame.depth)
    return replace(frame, light=light, subject=subject, depth=depth)


def _inside(x: np.ndarray, y: np.ndarray, opening: str) -> np.ndarray:
    """Return the mask of an opening; x and y run from 0 to 1 over the picture."""
    away = np.abs(x - 0.5)
    if opening == "round":
        return smooth(np.hypot(away / 0.44, (y - 0.5) / 0.44), 1.03, 0.97)
    if opening == "arch":
        arc = smooth(np.hypot(away / 0.38, (np.minimum(y, 0.48) - 0.48) / 0.4), 1.03, 0.97)
        return arc * smooth(y, 1.0, 0.98)
    pane = smooth(away, 0.45, 0.44) * smooth(np.abs(y - 0.5), 0.45, 0.44)
    bars = np.minimum(away, np.abs(y - 0.5))
    return pane * smooth(bars, 0.018, 0.028)
