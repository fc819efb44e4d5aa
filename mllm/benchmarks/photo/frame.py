"""A picture while it is developed: its light, and what is known of the scene."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class Frame:
    """What a camera is pointed at, or has recorded.

    Attributes:
      light: linear light float32[H, W, 3]; 1 is what a correct exposure renders as white.
      subject: mask of the subject float32[H, W]; None where there is none.
      depth: distance float32[H, W] from 0 (near) to 1 (far); None where it is not known.
      unit: pixels of `light` for one pixel of the finished picture.
      facts: numbers about the scene that the record keeps.
    """

    light: np.ndarray
    subject: np.ndarray | None = None
    depth: np.ndarray | None = None
    unit: float = 1
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.light.shape[:2]

    @property
    def long(self) -> int:
        """The longer side in pixels."""
        return max(self.shape)

    def lit(self, light: np.ndarray) -> "Frame":
        """Return the frame with other light."""
        return replace(self, light=light.astype(np.float32))

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Frame":
        """Apply a geometric change of an array [H, W, C] to light, subject and depth alike."""
        layers = [self.light]
        layers += [map[..., None] for map in (self.subject, self.depth) if map is not None]
        changed = change(np.concatenate(layers, 2)).astype(np.float32)
        subject = changed[..., 3] if self.subject is not None else None
        depth = changed[..., -1] if self.depth is not None else None
        return replace(self, light=changed[..., :3], subject=subject, depth=depth)

    def warped(self, rows: np.ndarray, columns: np.ndarray) -> "Frame":
        """Return the frame read at (rows[i, j], columns[i, j]) for each pixel, bilinearly."""

        height, width = self.shape
        rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
        top = np.minimum(rows.astype(int), height - 2)
        left = np.minimum(columns.astype(int), width - 2)
        down = (rows - top).astype(np.float32)[..., None]
        right = (columns - left).astype(np.float32)[..., None]

        def read(layers: np.ndarray) -> np.ndarray:
            flat, corner = layers.reshape(height * width, -1), top * width + left
            a, b, c, d = (flat.take(corner + step, 0) for step in (0, 1, width, width + 1))
            above, below = a + (b - a) * right, c + (d - c) * right
            return above + (below - above) * down

        return self.each(read)

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Return y float32[H, 1] and x float32[1, W] from the middle; corners are 1 away."""
        height, width = self.shape
        half = np.hypot(height, width) / 2
        y = (np.arange(height, dtype=np.float32) - (height - 1) / 2) / half
        x = (np.arange(width, dtype=np.float32) - (width - 1) / 2) / half
        return y[:, None], x[None]

    def at(self, y: np.ndarray, x: np.ndarray) -> "Frame":
        """Return the frame read at `places` (y, x), which broadcast to [H, W]."""
        height, width = self.shape
        half = np.hypot(height, width) / 2
        rows, columns = np.broadcast_arrays(y * half + (height - 1) / 2, x * half + (width - 1) / 2)
        return self.warped(rows, columns)

    def reduced(self) -> "Frame":
        """Return the frame at the size of the finished picture: boxes of pixels are averaged."""
        factor = round(self.unit)
        if factor == 1:
            return self
        height, width = (side // factor for side in self.shape)

        def mean(layers: np.ndarray) -> np.ndarray:
            kept = layers[: height * factor, : width * factor]
            steps = [(i, j) for i in range(factor) for j in range(factor)]
            return sum(kept[i::factor, j::factor] for i, j in steps) / factor**2

        return replace(self.each(mean), unit=1)


def luminance(light: np.ndarray) -> np.ndarray:
    """Return the luminance [H, W] of linear RGB light [H, W, 3] (Rec. 709)."""
    return light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
