"""Prompts and pictures to arrays: rows padded at the right, each tile at its run of image tokens.

B rows, T tokens, I images a row (a tile of a split picture is an image), N images in all.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from mllm.data.images import Picture
from mllm.data.packing import round_up

INSTRUCTION = 32  # tokens of an instruction are padded to a multiple of this


def lay_out(
    rows: Sequence[Sequence[int]],
    pictures: Sequence[Sequence[Picture]],
    *,
    image_id: int | None,
    image_tokens: int,
    width: int | None = None,
    patch: int = 1,
) -> dict[str, np.ndarray]:
    """Lay whole prompts out as a batch, padded at the right.

    Args:
      rows: ids of each prompt. pictures: what each shows, in the order of its image tokens.
      width: T; None takes the longest prompt.
      patch: heights and widths of images are padded to a multiple of this.

    Returns:
      tokens, positions, segments i32[B, T] (segments -1 on padding) and, if there are pictures,
      ``media`` as ``place_images`` returns them.

    Raises:
      ValueError: the image tokens of a prompt do not match its pictures.
    """
    batch = lay_out_ids(rows, width)
    shown = [picture for row in pictures for picture in row]
    sizes = [picture.tiles.shape[1:3] for picture in shown]
    height, wide = (round_up(int(side), patch) for side in np.max([(0, 0), *sizes], axis=0))
    tiles, extents = stack_tiles(shown, height, wide)
    counts = [sum(len(picture.tiles) for picture in shown) for shown in pictures]
    offsets = None
    if any(picture.offsets is not None for picture in shown):
        offsets = [picture.offsets for picture in shown]
    known = counts, image_id, image_tokens, offsets
    found = place_images(batch["tokens"], tiles, extents, *known)
    return {**batch, "media": found} if found else batch


def lay_out_ids(rows: Sequence[Sequence[int]], width: int | None = None) -> dict[str, np.ndarray]:
    """Return the tokens, positions and segments of ``lay_out``."""
    width = max(map(len, rows)) if width is None else width
    batch = {
        "tokens": np.zeros((len(rows), width), np.int32),
        "segments": np.full((len(rows), width), -1, np.int32),
    }
    for i, row in enumerate(rows):
        batch["tokens"][i, : len(row)], batch["segments"][i, : len(row)] = row, 0
    batch["positions"] = np.tile(np.arange(width, dtype=np.int32), (len(rows), 1))
    return batch


def stack_tiles(
    pictures: Sequence[Picture], height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (u8[N, height, width, 3], extents i32[N, 2]) of the tiles of all pictures, padded at
    the right and at the bottom.
    """
    count = sum(len(picture.tiles) for picture in pictures)
    stacked, taken = np.zeros((count, height, width, 3), np.uint8), 0
    for picture in pictures:
        number, h, w, _ = picture.tiles.shape
        stacked[taken : taken + number, :h, :w] = picture.tiles
        taken += number
    extents = [extent for picture in pictures for extent in picture.extents]
    return stacked, np.asarray(extents, np.int32).reshape(-1, 2)


def place_images(
    tokens: np.ndarray,
    images: np.ndarray,
    extents: np.ndarray,
    counts: Sequence[int] | None,
    image_id: int | None,
    image_tokens: int,
    offsets: Sequence[np.ndarray] | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Lay images out at the runs of image tokens of i32[B, T] rows, in their order.

    Args:
      images: [N, H, W, 3] of any dtype. extents: i32[N, 2], their real (height, width).
      counts: images of each row; None if only their sum is known. Without any image nothing is
        returned.
      offsets: ``Picture.offsets`` of each picture, whose tiles are the images; None if each image
        has a run of ``image_tokens`` tokens.

    Returns:
      {"image": {values [B, I, H, W, 3]; slots i32[B, I], the first token of each run (-1: no
      image); lengths i32[B, I], the tokens of each image; extents i32[B, I, 2]; and with
      ``offsets`` these, i32[B, I, image_tokens]}}.

    Raises:
      ValueError: image tokens and images do not match.
    """
    if offsets is None:
        slots = [_runs(row, image_id, image_tokens, f"row {i}") for i, row in enumerate(tokens)]
    else:
        slots = _runs_of_pictures(tokens, image_id, offsets)
        offsets = np.concatenate([np.zeros((0, image_tokens), np.int32), *offsets])
    found = [len(places) for places in slots]
    if (found != list(counts)) if counts is not None else (sum(found) != len(images)):
        wanted = f"{len(images)} images" if counts is None else f"{list(counts)} images"
        run = f"an image takes {image_tokens} tokens of id {image_id}"
        run = run if offsets is None else f"the tokens of a picture have id {image_id}"
        raise ValueError(
            f"image tokens for {found} images in the rows, but {wanted} are given; {run}"
        )
    most = max(found, default=0)
    if not most:
        return {}
    rows = len(tokens)
    spread = 0 if offsets is None else image_tokens
    laid = empty_media(rows, most, images.shape[1:], images.dtype, spread)
    taken = 0
    for i, places in enumerate(slots):
        mine = slice(taken, taken + len(places))
        laid["values"][i, : len(places)] = images[mine]
        laid["slots"][i, : len(places)] = places
        laid["lengths"][i, : len(places)] = image_tokens
        laid["extents"][i, : len(places)] = extents[mine]
        if offsets is not None:
            place_offsets(laid, i, slice(0, len(places)), offsets[mine])
        taken = mine.stop
    return {"image": laid}


def empty_media(
    rows: int, most: int, shape: Sequence[int], dtype: np.dtype, spread: int = 0
) -> dict[str, np.ndarray]:
    """Return the arrays of one kind of media for ``rows`` rows of ``most`` media each, none there.

    Args:
      shape: of the values of one medium. spread: tokens of a medium, if they do not follow each
        other.
    """
    offsets = {"offsets": np.full((rows, most, spread), -1, np.int32)} if spread else {}
    return {
        **offsets,
        "values": np.zeros((rows, most, *shape), dtype),
        "slots": np.full((rows, most), -1, np.int32),
        "lengths": np.zeros((rows, most), np.int32),
        "extents": np.zeros((rows, most, 2), np.int32),
    }


def place_features(
    tokens: np.ndarray,
    features: np.ndarray,
    counts: Sequence[int],
    image_id: int | None,
    image_tokens: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Lay out what an encoder has made of images: ``place_images`` with ``features`` float[B, I, F]
    in place of pixels and their extents.

    Args:
      features: float[N, F] of all images.
    """
    extents = np.zeros((len(features), 2), np.int32)
    found = place_images(tokens, features, extents, counts, image_id, image_tokens)
    for laid in found.values():
        laid["features"] = laid.pop("values")
        del laid["extents"]
    return found


def place_instructions(
    laid: dict[str, np.ndarray], instructions: Sequence[Sequence[int]], room: int = 0
) -> None:
    """Add ``instructions`` i32[B, I, Q] to the arrays of one kind of media, padded with -1.

    Args:
      instructions: ids under which each medium is read, in the order of the rows and in them of the
        media. room: the least Q, which is a multiple of ``INSTRUCTION``.
    """
    width = instruction_room(instructions, room)
    laid["instructions"] = np.full((*laid["slots"].shape, width), -1, np.int32)
    there = np.argwhere(laid["slots"] >= 0).tolist()
    for (row, place), ids in zip(there, instructions, strict=True):
        laid["instructions"][row, place, : len(ids)] = ids


def instruction_room(instructions: Iterable[Sequence[int]], room: int = 0) -> int:
    """Return the Q that holds instructions, and that is at least ``room``."""
    return round_up(max([room, 1, *map(len, instructions)]), INSTRUCTION)


def place_offsets(laid: dict[str, np.ndarray], row: int, media: slice, offsets: np.ndarray) -> None:
    """Write where the tokens of some media of a row stand, and how many of each do."""
    laid["offsets"][row, media] = offsets
    laid["lengths"][row, media] = (offsets >= 0).sum(axis=1)


def _runs_of_pictures(
    tokens: np.ndarray, image_id: int | None, offsets: Sequence[np.ndarray]
) -> list[list[int]]:
    """Return, for each row, where the run of image tokens of each tile's picture begins.

    Args:
      offsets: of each picture; they say how long its run is.

    Raises:
      ValueError: a row does not hold whole runs, or there are more of them than pictures.
    """
    waiting, slots = list(offsets)[::-1], []
    for number, row in enumerate(tokens):
        places = np.flatnonzero(row == (-1 if image_id is None else image_id))
        found, taken = [], 0
        while taken < len(places):
            picture = waiting.pop() if waiting else None
            length = 0 if picture is None else int(picture.max()) + 1
            run = places[taken : taken + length]
            if not length or len(run) != length or run[-1] - run[0] != length - 1:
                wanted = (
                    "no picture is left for them"
                    if picture is None
                    else (f"expected a run of {length} of them for the next picture")
                )
                raise ValueError(
                    f"row {number}: {len(places) - taken} more image tokens of id {image_id}, "
                    f"{wanted}"
                )
            found += [int(run[0])] * len(picture)
            taken += length
        slots.append(found)
    return slots


def _runs(row: np.ndarray, image_id: int | None, image_tokens: int, where: str) -> np.ndarray:
    """Return where each run of ``image_tokens`` image tokens begins."""
    places = np.flatnonzero(row == (-1 if image_id is None else image_id))
    whole = len(places) % image_tokens == 0 if image_tokens else not len(places)
    if whole and len(places):
        runs = places.reshape(-1, image_tokens)
        whole = (runs == runs[:, :1] + np.arange(image_tokens)).all()
    if not whole:
        raise ValueError(
            f"{where}: {len(places)} image tokens, expected runs of {image_tokens} of them, one "
            "for each image"
        )
    return places[::image_tokens] if image_tokens else places
