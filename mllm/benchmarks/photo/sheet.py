"""Contact sheets for people to look at: source, edited picture and questions side by side."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mllm.benchmarks.photo.develop import Source, develop, draw_edits, from_record
from mllm.benchmarks.photo.operations import OPERATIONS
from mllm.benchmarks.photo.row import LETTERS, Photo
from mllm.data.images import decode
from mllm.files import replacing

GAP, TEXT, FONT, LINE = 6, 330, 10, 11


def contact_sheet(photos: Iterable[Photo], path: Path, *, side: int = 144, across: int = 2) -> Path:
    """Write generated pictures as one PNG: the source, the picture, its questions with the keys.

    Args:
      side: of the square that a picture fits in, in pixels.
      across: how many pictures are next to each other.

    Returns:
      The path.
    """
    entries = [_entry(photo, side) for photo in photos]
    width, height = entries[0].size
    rows = -(-len(entries) // across)
    sheet = Image.new("RGB", (across * (width + GAP), rows * (height + GAP)), "white")
    for number, entry in enumerate(entries):
        row, column = divmod(number, across)
        sheet.paste(entry, (column * (width + GAP), row * (height + GAP)))
    return _save(sheet, path)


def _entry(photo: Photo, side: int) -> Image.Image:
    source, edits = from_record(photo.record)
    entry = Image.new("RGB", (2 * (side + GAP) + TEXT, side), "white")
    entry.paste(_fitting(Image.fromarray(unedited(source, edits)), side), (0, 0))
    entry.paste(_fitting(decode(photo.picture), side), (side + GAP, 0))
    draw, font = ImageDraw.Draw(entry), ImageFont.load_default(size=FONT)
    lines = [f"{photo.id}: {source.kind}"]
    for question in photo.questions:
        options = "  ".join(
            f"{'*' if number == question.key else ''}{letter} {option}"
            for number, (letter, option) in enumerate(zip(LETTERS, question.options, strict=True))
        )
        lines += textwrap.wrap(f"{question.question} {options}", 66, max_lines=2)
    for number, line in enumerate(lines[: side // LINE]):
        draw.text((2 * (side + GAP), number * LINE), line, "black", font)
    return entry


def unedited(source: Source, edits: Mapping[str, Mapping]) -> np.ndarray:
    """Return the picture uint8[H, W, 3] of the scene without edits of camera or darkroom."""
    scene = {name: edit for name, edit in edits.items() if OPERATIONS[name].stage == "scene"}
    return develop(source, scene)


def settings_sheet(operations: Iterable[str], sources: Mapping[str, Source], path: Path) -> Path:
    """Write a row for each operation as one PNG: its settings, on a source of its own.

    Args:
      operations: names. sources: by operation; all are 96 pixels wide or less.

    Returns:
      The path.
    """
    names = list(operations)
    step, label = 96 + GAP, 96
    most = max(len(OPERATIONS[name].settings) for name in names)
    sheet = Image.new("RGB", (label + most * step, len(names) * (step + LINE)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=FONT)
    for row, name in enumerate(names):
        top = row * (step + LINE)
        draw.text((0, top + step // 2), name, "black", font)
        for column, setting in enumerate(OPERATIONS[name].settings):
            edits = draw_edits({name: setting}, "sheet")
            left = label + column * step
            draw.text((left, top), setting[:18], "black", font)
            sheet.paste(Image.fromarray(develop(sources[name], edits)), (left, top + LINE))
    return _save(sheet, path)


def _fitting(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)


def _save(sheet: Image.Image, path: Path) -> Path:
    with replacing(path) as temporary:
        sheet.save(temporary, "PNG", optimize=True)
    return path
