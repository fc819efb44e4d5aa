"""The 500 pictures, drawn from glyphs of an open font, in any view."""

from mllm.benchmarks.cobsat.draw.picture import image, picture

__all__ = ["image", "picture"]
