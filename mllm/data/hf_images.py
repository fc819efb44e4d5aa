"""Read and write the settings of image processors of Hugging Face folders."""

from collections.abc import Sequence
from math import isqrt
from pathlib import Path

from PIL import Image

from mllm.data.anyres import PINPOINTS, grids_of
from mllm.data.images import CLIP_MEAN, ImageConfig
from mllm.files import read_json
from mllm.registry import lookup

KINDS = {  # the transform of each image processor, by family
    "llava": {
        "CLIPImageProcessor": "crop",
        "LlavaImageProcessor": "pad_square",
        "SiglipImageProcessor": "stretch",
    },
    "llava_next": {"LlavaNextImageProcessor": "anyres"},
    "idefics2": {"Idefics2ImageProcessor": "idefics2"},
    "idefics3": {"Idefics3ImageProcessor": "idefics3", "SmolVLMImageProcessor": "idefics3"},
    "clip": {"CLIPImageProcessor": "crop"},
}
RESAMPLE = {int(member): member.name.lower() for member in Image.Resampling}
DEFAULT_RESAMPLE = {"idefics2": 2, "idefics3": 1}  # of others 3, bicubic


def read_image_settings(folder: Path) -> tuple[Path, dict]:
    """Return (file, settings of the image processor), ``image_mean`` and ``image_std`` among them.

    Raises:
      FileNotFoundError: neither of the two files that may hold them is there.
    """
    nested, plain = folder / "processor_config.json", folder / "preprocessor_config.json"
    settings = (read_json(nested) if nested.is_file() else {}).get("image_processor")
    if isinstance(settings, dict):
        return nested, settings
    if settings is not None:
        raise ValueError(f"{nested}: image_processor is {settings!r}, expected an object")
    if not plain.is_file():
        raise FileNotFoundError(f"{plain}: no such file, nor 'image_processor' in {nested.name}")
    return plain, read_json(plain)


def read_images(folder: Path, family: str, image_tokens: int = 0) -> dict:
    """Return the fields of an ImageConfig, for a model with ``image_tokens`` tokens per tile.

    Raises:
      FileNotFoundError, ValueError: the message names the file, the key, found and expected.
    """
    where, settings = read_image_settings(folder)

    def expect(key: str, *expected):
        found = settings.get(key, expected[0])
        if found not in expected:
            raise ValueError(f"{where}: {key} is {found!r}, expected {expected[0]!r}")

    kind = settings.get("image_processor_type", next(iter(KINDS[family])))
    transform = KINDS[family].get(str(kind).removesuffix("Fast").removesuffix("Pil"))
    if transform is None:
        known = ", ".join(KINDS[family])
        raise ValueError(f"{where}: image_processor_type is {kind!r}, expected one of {known}")
    if transform == "pad_square" and not settings.get("do_pad"):
        transform = "crop"
    for key in ("do_resize", "do_rescale", "do_normalize"):
        expect(key, True)
    expect("rescale_factor", 1 / 255, 0.00392156862745098)
    resample = settings.get("resample", DEFAULT_RESAMPLE.get(transform, 3))
    if type(resample) is not int or resample not in RESAMPLE:
        raise ValueError(f"{where}: resample is {resample!r}, expected one of {RESAMPLE}")
    fields = {"transform": transform, "resample": RESAMPLE[resample]}
    if transform == "pad_square":
        _check_border(where, settings.get("image_mean", ()))
    if transform in ("crop", "pad_square", "anyres"):
        expect("do_center_crop", True)
        side = _side(where, settings, "size", "shortest_edge")
        for edge in ("height", "width"):
            if (found := _side(where, settings, "crop_size", edge)) != side:
                raise ValueError(
                    f"{where}: crop_size.{edge} is {found}, expected {side} as size.shortest_edge"
                )
        if transform == "anyres":
            fields |= {"split": True, "cells": isqrt(image_tokens)}  # it has cells^2 + cells
            fields["grids"] = _grids(where, settings, side)
        return fields | {"image_size": side}
    if transform == "stretch":
        height, width = (_side(where, settings, "size", edge) for edge in ("height", "width"))
        if height != width:
            raise ValueError(f"{where}: size is {height} x {width}, expected a square")
        return fields | {"image_size": height}
    fields |= {
        "longest_edge": _side(where, settings, "size", "longest_edge"),
        "split": bool(settings.get("do_image_splitting", transform == "idefics3")),
    }
    if transform == "idefics2":
        return fields | {"shortest_edge": _side(where, settings, "size", "shortest_edge")}
    return fields | {"image_size": _side(where, settings, "max_image_size", "longest_edge")}


def _grids(where: Path, settings: dict, side: int) -> tuple[tuple[int, int], ...]:
    """Return the canvases of tiles of ``side`` pixels."""
    found = settings.get("image_grid_pinpoints", PINPOINTS)
    try:
        return grids_of(found, side)
    except ValueError as error:
        raise ValueError(f"{where}: image_grid_pinpoints is {found!r}, expected {error}") from None


def _check_border(where: Path, mean: Sequence[float]) -> None:
    """Check that LlavaImageProcessor, which pads with ``image_mean``, pads as we do with CLIP's."""
    colour = tuple(int(255 * value) for value in mean)
    if colour != CLIP_MEAN:
        raise ValueError(
            f"{where}: image_mean {list(mean)} gives borders of colour {colour}, expected "
            f"{CLIP_MEAN}, that of CLIP"
        )


def _side(where: Path, settings: dict, key: str, edge: str) -> int:
    """Return a size in pixels, which transformers 4 also writes as a bare number."""
    found = settings.get(key)
    found = found.get(edge) if isinstance(found, dict) else found
    if not isinstance(found, int) or found < 1:
        raise ValueError(f"{where}: {key}.{edge} is {found!r}, expected a number of pixels")
    return found


def write_images(folder: Path, config: ImageConfig, family: str, vision) -> dict:
    """Return the settings of the image processor that makes the pictures of a config.

    Args:
      vision: the config of the tower, whose ``mean`` and ``std`` are written.

    Raises:
      ValueError: the family's processor makes other pictures.
    """
    kinds = {
        transform: kind for kind, transform in reversed(lookup(KINDS, family, "family").items())
    }
    if config.transform not in kinds:
        raise ValueError(
            f"{folder}: a processor of family {family!r} has a transform of {sorted(kinds)}, found "
            f"{config.transform!r}"
        )
    numbers = {name: number for number, name in RESAMPLE.items()}
    settings = {
        "image_processor_type": kinds[config.transform],
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": numbers[config.resample],
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(vision.mean),
        "image_std": list(vision.std),
    }
    if config.transform == "pad_square":
        _check_border(folder / "preprocessor_config.json", vision.mean)
    if config.transform == "anyres":
        side = config.image_size
        settings["image_grid_pinpoints"] = [[rows * side, n * side] for rows, n in config.grids]
    if config.transform in ("crop", "pad_square", "anyres"):
        return settings | {
            "do_pad": config.transform != "crop",
            "size": {"shortest_edge": config.image_size},
            "do_center_crop": True,
            "crop_size": {"height": config.image_size, "width": config.image_size},
        }
    if config.transform == "stretch":
        return settings | {"size": {"height": config.image_size, "width": config.image_size}}
    settings |= {"do_pad": True, "do_image_splitting": config.split}
    size = {"longest_edge": config.longest_edge}
    if config.transform == "idefics2":
        return settings | {"size": size | {"shortest_edge": config.shortest_edge}}
    return settings | {"size": size, "max_image_size": {"longest_edge": config.image_size}}
