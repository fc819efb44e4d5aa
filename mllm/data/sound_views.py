"""Random views of sounds, another one every time a sound is heard: spans of its spectrogram are
hidden (SpecAugment, Park et al. 2019, arXiv:1904.08779), or another sound is mixed in (mixup, Zhang
et al. 2018, arXiv:1710.09412). What is said about the sound stays the same, so the other one is
never the louder.
"""

from dataclasses import dataclass

import numpy as np

from mllm.registry import lookup


@dataclass(frozen=True)
class SoundViews:
    """How far a random view may be from its sound.

    Attributes:
      spans: of frames, and as many of bins, that are hidden; 0 hides nothing.
      frames, bins: the largest share of all frames and of all bins that one span hides.
      mixed: probability that another sound is mixed in.
      share: the largest share of the other sound.
    """

    spans: int = 0
    frames: float = 0.2
    bins: float = 0.2
    mixed: float = 0.0
    share: float = 0.4


SOUND_VIEWS = {
    "masked": SoundViews(spans=2),
    "mixed": SoundViews(mixed=0.5),
    "masked+mixed": SoundViews(spans=2, mixed=0.5),
}


def sound_views_named(name: str) -> SoundViews | None:
    """Return the views of a schedule's ``sounds``; None for "", no views."""
    return lookup(SOUND_VIEWS, name, "kind of views of sounds") if name else None


def draw_spans(views: SoundViews, frames: int, bins: int, rng: np.random.Generator) -> np.ndarray:
    """Return what a view hides of a spectrogram of that size, i32[2, spans, 2]: (start, end) of
    spans of frames, then of bins.
    """
    drawn = []
    for size, share in ((frames, views.frames), (bins, views.bins)):
        lengths = rng.integers(0, int(share * size), views.spans, endpoint=True)
        starts = rng.integers(0, size - lengths, endpoint=True)
        drawn.append(np.stack([starts, starts + lengths], axis=1))
    return np.stack(drawn).astype(np.int32)


def mix(sound: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """Return a sound float32[S] with a share of another one, which is repeated or cut to its
    length.

    Both are brought to one loudness first, the root mean square of the sound, so that the share
    says how loud the other one is.
    """
    other = np.resize(other, len(sound))
    loudness, louder = (float(np.sqrt(np.mean(np.square(x)))) for x in (sound, other))
    if not louder:
        return sound
    mixed = (1 - share) * sound + share * (loudness / louder) * other
    return mixed.astype(np.float32)
