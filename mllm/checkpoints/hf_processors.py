"""The processor of a Hugging Face folder, checked against the model that it is for."""

import math
from pathlib import Path

from mllm.checkpoints.hf_audio_config import AUDIO_ID
from mllm.checkpoints.loaded import CONFIG, NoProcessor
from mllm.data.hf_images import read_image_settings
from mllm.data.hf_processor import HEARING, read_hf_processor
from mllm.data.hf_sounds import read_bins, read_sound_settings
from mllm.data.processor import Processor

IMAGE_IDS = {"llava": 32000, "llava_next": 32000, "idefics2": 32001, "idefics3": 128257}
IMAGE_FILES = ("preprocessor_config.json", "processor_config.json")


def pixel_statistics(folder: Path, family: str = "") -> dict[str, tuple[float, ...]]:
    """Return ``mean`` and ``std`` of the folder's image processor, {} if it has none, or if its
    model is of a family that sees nothing.
    """
    if family in HEARING or not any((folder / name).is_file() for name in IMAGE_FILES):
        return {}
    where, settings = read_image_settings(folder)
    found = {}
    for name in ("mean", "std"):
        values = settings.get(f"image_{name}")
        if values is None:
            continue
        if not _are_channels(values) or (name == "std" and min(values) <= 0):
            raise ValueError(
                f"{where}: key 'image_{name}': expected a number for each of 3 channels"
                f"{', greater than 0' * (name == 'std')}, found {values!r}"
            )
        found[name] = tuple(map(float, values))
    return found


def _are_channels(values: object) -> bool:
    three = isinstance(values, list) and len(values) == 3
    return three and all(type(v) in (int, float) and math.isfinite(v) for v in values)


def read_processor(folder: Path, family: str, config, raw: dict):
    """Return (processor, ids of the media tokens according to config.json, as fields of Loaded)."""
    if family in HEARING:
        return _read_hearing(folder, family, config, raw)
    key = "image_token_index" if "image_token_index" in raw else "image_token_id"
    image_id = _media_id(folder, raw, key, IMAGE_IDS[family], config)
    ids = {"image_id": image_id}
    tokenizer = folder / "tokenizer.json"
    if missing := _missing(folder):
        return NoProcessor(missing), ids
    processor = read_hf_processor(folder, family, config.image_tokens)
    side = processor.config.image_size
    if not config.any_size and side != config.vision.image_size:
        raise ValueError(
            f"{read_image_settings(folder)[0]}: makes square images of {side} pixels, expected "
            f"{config.vision.image_size}, the vision_config.image_size of {folder / CONFIG}"
        )
    grids = getattr(config, "grids", ())
    if grids != processor.config.grids:
        raise ValueError(
            f"{read_image_settings(folder)[0]}: image_grid_pinpoints gives canvases of "
            f"{processor.config.grids} tiles, expected {grids}, those of {folder / CONFIG}: model "
            "and processor would place the tokens of a picture differently"
        )
    processor = _fitting(folder, processor, config)
    if processor.image_id != image_id:
        raise ValueError(
            f"{tokenizer}: its image token {processor.config.image!r} has id {processor.image_id}, "
            f"expected {image_id}, the {key} of {folder / CONFIG}"
        )
    seen, side = processor.config.image_size, config.vision.image_size
    if not config.vision.ragged and seen != side:
        raise ValueError(
            f"{folder}: its image processor makes images of {seen} x {seen} pixels, expected "
            f"{side} x {side}, the vision_config.image_size of {CONFIG}"
        )
    return processor, ids


def _read_hearing(folder: Path, family: str, config, raw: dict):
    """Return what ``read_processor`` does, for a model that hears and sees nothing."""
    key = "audio_token_index" if "audio_token_index" in raw else "audio_token_id"
    audio_id = _media_id(folder, raw, key, AUDIO_ID, config)
    if missing := _missing(folder):
        return NoProcessor(missing), {"audio_id": audio_id}
    processor = _fitting(folder, read_hf_processor(folder, family, 0), config)
    found = processor.audio_id, read_bins(folder), processor.config.audio.window
    expected = audio_id, config.audio.bins, config.audio.window
    if found != expected:
        raise ValueError(
            f"{read_sound_settings(folder)[0]}: audio token, mel bins and samples of the longest "
            f"sound are {found}, expected {expected}, those of {folder / CONFIG}"
        )
    return processor, {"audio_id": audio_id}


def _media_id(folder: Path, raw: dict, key: str, default: int, config) -> int:
    """Return the id under a key of config.json."""
    index, rows = raw.get(key, default), config.decoder.vocab_size
    if not isinstance(index, int) or not 0 <= index < rows:
        raise ValueError(
            f"{folder / CONFIG}: key {key!r}: expected an id below vocab_size {rows}, found "
            f"{index!r}"
        )
    return index


def _missing(folder: Path) -> Path | None:
    """Return a file without which a folder has no processor, if it is not there."""
    if not (folder / "tokenizer.json").is_file():
        return folder / "tokenizer.json"
    there = any((folder / name).is_file() for name in IMAGE_FILES)
    return None if there else folder / IMAGE_FILES[0]


def _fitting(folder: Path, processor: Processor, config) -> Processor:
    """Return a processor that uses no token without a row in the model's embedding."""
    rows, where = config.decoder.vocab_size, folder / "tokenizer.json"
    if max(processor.tokenizer.get_vocab(with_added_tokens=True).values()) < rows:
        return processor
    try:
        return processor.with_rows(rows)
    except ValueError as error:
        raise ValueError(
            f"{where}: {error}; expected a tokenizer that fits vocab_size {rows} of "
            f"{folder / CONFIG}, the one that the weights were saved with"
        ) from None
