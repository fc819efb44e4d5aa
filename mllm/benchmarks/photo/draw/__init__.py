"""Scenes that are drawn, with everything known about them."""

from mllm.benchmarks.photo.draw.kinds import KINDS, Kind, draw_scene

__all__ = ["KINDS", "Kind", "draw_scene"]
