"""Contact sheets of spectrograms, for people to look at."""

from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.row import Clip
from mllm.data.audio import decode
from mllm.files import replacing
from mllm.ops.mel import log_mel

COLOURS = "magma"
GAP, LABEL, FONT = 4, 14, 11
SHADES = 64  # colours of a sheet, which is a third as large for it

_log_mel = jax.jit(log_mel, static_argnames=("bins", "window"))


def spectrogram(sound: bytes, height: int = 96) -> Image.Image:
    """Return Whisper's log-mel spectrogram of an encoded sound, as many mel bins as pixels high.

    Time runs to the right, a pixel for each 10 ms; low frequencies are at the bottom. Black is 80
    dB below the loudest.
    """
    samples = decode(sound)
    levels = np.asarray(_log_mel(samples, bins=height, window=len(samples))).T[::-1]
    shade = np.clip((levels - levels.max()) / 2.0 + 1.0, 0.0, 1.0)  # the floor is 2 below
    return Image.fromarray(colormaps[COLOURS](shade, bytes=True)[..., :3])


def contact_sheet(
    clips: Iterable[Clip],
    ontology: Ontology,
    path: Path,
    *,
    each: int = 3,
    across: int = 4,
    width: int = 160,
    height: int = 64,
) -> Path:
    """Write spectrograms as one PNG: a few clips of every tag that is heard alone, in the order of
    the ontology, under what it is a kind of.

    Args:
      each: how many clips of a tag. across: how many tags are next to each other.
      width, height: of a spectrogram, in pixels; longer ones are cut.

    Returns:
      The path.
    """
    found: dict[str, list[Clip]] = {name: [] for name in ontology}
    for clip in clips:
        if len(clip.tags) == 1 and len(found[clip.tags[0]]) < each:
            found[clip.tags[0]].append(clip)
    names = [name for name in ontology if found[name]]
    step = (each * (width + GAP) + 2 * GAP, LABEL + height + GAP)
    size = (across * step[0], -(-len(names) // across) * step[1])
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=FONT)
    for number, name in enumerate(names):
        left, top = (number % across) * step[0], (number // across) * step[1]
        above = reversed(ontology.ancestors(name))
        draw.text((left + 1, top), " / ".join((*above, name)), "black", font)
        for place, clip in enumerate(found[name]):
            picture = spectrogram(clip.sound.data, height).crop((0, 0, width, height))
            sheet.paste(picture, (left + place * (width + GAP), top + LABEL))
    with replacing(path) as temporary:
        sheet.quantize(SHADES).save(temporary, "PNG", optimize=True)
    return path
