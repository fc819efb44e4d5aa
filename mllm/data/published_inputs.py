"""The inputs of transformers' models as ours take them: pixels, spectrograms, and their masks."""

import numpy as np

from mllm.data.rows import empty_media


def published_images(
    pixel_values, config, family: str, media: dict
) -> tuple[np.ndarray, np.ndarray]:
    """Return (float32[N, H, W, 3], extents i32[N, 2]) of the images that transformers gives
    to a model.

    Args:
      config: of the model. media: its other inputs, by name.

    Raises:
      ValueError: a shape that the model does not take, a mask that is no rectangle from the upper
        left, or an unknown input.
    """
    name = "pixel_attention_mask"
    ragged = config.vision is not None and config.vision.ragged
    unknown = set(media) - ({name} if ragged else set())
    if unknown:
        raise ValueError(f"inputs {sorted(unknown)} are unknown to family {family!r}")
    if pixel_values is None:
        return np.zeros((0, 1, 1, 3), np.float32), np.zeros((0, 2), np.int32)
    pixels, axes = np.asarray(pixel_values, np.float32), 5 if ragged else 4
    if pixels.ndim != axes or pixels.shape[-3] != 3:
        expected = "[B, I, 3, H, W]" if ragged else "[N, 3, H, W]"
        raise ValueError(f"pixel_values: expected {expected}, found shape {pixels.shape}")
    images = np.moveaxis(pixels.reshape(-1, *pixels.shape[-3:]), 1, -1)
    size, side = images.shape[1:3], config.vision.image_size
    if not config.any_size and size != (side, side):
        raise ValueError(f"pixel_values: expected images of {side} x {side}, found {size}")
    masks = media.get(name)
    masks = np.ones((len(images), *size)) if masks is None else np.asarray(masks)
    if name in media and masks.shape != (expected := (*pixels.shape[:-3], *size)):
        raise ValueError(f"{name}: expected shape {expected}, found {masks.shape}")
    masks = masks.reshape(-1, *size) > 0
    extents = np.stack([masks.any(axis=3 - axis).sum(axis=1) for axis in (1, 2)], axis=1)
    corner = np.arange(size[0])[:, None] < extents[:, 0, None, None]
    corner = corner & (np.arange(size[1]) < extents[:, 1, None, None])
    if not np.array_equal(masks, corner):
        raise ValueError(f"{name}: expected rectangles that begin at the upper left")
    real = images.any(axis=(1, 2, 3)) if ragged else np.ones(len(images), bool)
    return images[real], extents[real].astype(np.int32)


def published_sounds(
    tokens: np.ndarray, config, audio_id: int | None, media: dict
) -> dict[str, np.ndarray]:
    """Return the spectrograms that transformers gives to a model at their places in i32[B, T] rows;
    {} if there are none.

    Args:
      config: of the model. audio_id: of the token that stands for sounds, None in a model that
        hears nothing. media: inputs by name, from which those of sounds are taken out.

    Returns:
      values float32[B, I, F, bins]; slots, lengths i32[B, I]; extents i32[B, I, 1], real frames.

    Raises:
      ValueError: a shape that the model does not take, or sounds and their tokens do not match.
    """
    if audio_id is None:
        return {}
    mel = media.pop("input_features", None)
    mask = media.pop("feature_attention_mask", None)
    audio = config.audio
    mel = np.zeros((0, audio.bins, 1), np.float32) if mel is None else np.asarray(mel, np.float32)
    if mel.ndim != 3 or mel.shape[1] != audio.bins:
        raise ValueError(f"input_features: expected [N, {audio.bins}, F], found {mel.shape}")
    mask = np.ones((len(mel), mel.shape[2])) if mask is None else np.asarray(mask)
    if mask.shape != (len(mel), mel.shape[2]):
        expected = (len(mel), mel.shape[2])
        raise ValueError(f"feature_attention_mask: expected shape {expected}, found {mask.shape}")
    frames = (mask > 0).sum(axis=1)
    lengths = [audio.tokens_of(int(count)) for count in frames]
    slots, taken = [], 0
    for number, row in enumerate(tokens):
        places, found = np.flatnonzero(row == audio_id), []
        while len(places):
            length = lengths[taken] if taken < len(lengths) else 0
            run = places[:length]
            if not length or len(run) < length or run[-1] - run[0] != length - 1:
                wanted = f"a run of {length} for the next sound" if length else "no sound is left"
                raise ValueError(f"row {number}: {len(places)} more audio tokens, {wanted}")
            found.append((int(run[0]), taken))
            places, taken = places[length:], taken + 1
        slots.append(found)
    if taken != len(mel):
        raise ValueError(f"audio tokens for {taken} sounds in the rows, but {len(mel)} are given")
    if not taken:
        return {}
    shape = mel.shape[2], audio.bins
    laid = empty_media(len(tokens), max(map(len, slots)), shape, np.dtype(np.float32))
    laid["extents"] = laid["extents"][..., :1]
    for row, found in enumerate(slots):
        for place, (slot, number) in enumerate(found):
            laid["values"][row, place] = mel[number].T
            laid["slots"][row, place], laid["lengths"][row, place] = slot, lengths[number]
            laid["extents"][row, place] = frames[number]
    return laid


def one_each(name: str, rows, images: tuple[int], last: tuple[int, ...] = ()) -> np.ndarray:
    """Return an input i32[N, ...] of an instructed model, one row for each of its N images.

    Raises:
      ValueError: it is missing or has another shape.
    """
    found = None if rows is None else np.asarray(rows, np.int32)
    if found is None or found.ndim != 2 or found.shape[: 1 + len(last)] != (*images, *last):
        shape = None if found is None else found.shape
        expected = [*images, *(last or "Q")]
        raise ValueError(f"{name}: expected shape {expected} for {images[0]} images, found {shape}")
    return found
