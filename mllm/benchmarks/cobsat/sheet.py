"""Contact sheets: pictures in rows and columns, with their words, for people to look at."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from mllm.benchmarks.cobsat.shown import Shown
from mllm.benchmarks.cobsat.tasks import KINDS, THEMES, WORDS, display
from mllm.data.images import decode
from mllm.files import replacing

GAP, LABEL, TOP, FONT = 2, 52, 14, 10


def contact_sheet(
    rows: Iterable[Shown],
    path: Path,
    *,
    side: int = 48,
    objects: int = 10,
    across: int = 3,
    tones: int | None = None,
) -> Path:
    """Write the pictures of a split as one PNG: a block for each theme, details from left to right.

    Args:
      rows: pictures; of several views of a pair the last is shown.
      side: of each picture, in pixels.
      objects: how many objects or animals of each theme are shown, the first ones.
      across: how many blocks are next to each other.
      tones: how many colors the file has; all where None.

    Returns:
      The path.
    """
    step = side + GAP
    width, height = LABEL + 10 * step, TOP + objects * step
    lines = -(-len(THEMES) // across)
    sheet = Image.new("RGB", (across * width, lines * height), "white")
    corners = {
        theme: (number % across * width, number // across * height)
        for number, theme in enumerate(THEMES)
    }
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=FONT)
    for theme, (left, top) in corners.items():
        for column, detail in enumerate(WORDS[theme]):
            words = _fitting(display(detail), font, side)
            draw.text((left + LABEL + column * step, top + 1), words, "black", font)
        for row, name in enumerate(WORDS[KINDS[theme]][:objects]):
            middle = top + TOP + row * step + side // 2
            draw.text((left + 8, middle - FONT // 2), name, "black", font)
    for shown in rows:
        theme, detail, name = shown.pair
        row, column = WORDS[KINDS[theme]].index(name), WORDS[theme].index(detail)
        if row < objects:
            left, top = corners[theme]
            small = decode(shown.picture).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(small, (left + LABEL + column * step, top + TOP + row * step))
    if tones is not None:
        sheet = sheet.quantize(tones, Image.Quantize.MAXCOVERAGE, kmeans=4)
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG", optimize=True)
    return path


def _fitting(words: str, font: ImageFont.ImageFont, width: int) -> str:
    """Return as many letters as fit above a picture."""
    while font.getlength(words) > width:
        words = words[:-1]
    return words
