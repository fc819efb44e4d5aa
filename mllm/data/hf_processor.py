"""Read and write the processor files of a Hugging Face folder.

The files read are preprocessor_config.json, processor_config.json (transformers 5 nests the image
processor in it), config.json, and those of ``mllm.data.hf_text``. ``AutoProcessor`` of transformers
4 and 5 reads what is written.
"""

import json
from collections.abc import Sequence
from math import isqrt
from pathlib import Path

from PIL import Image
from tokenizers import Tokenizer, processors

from mllm.data.anyres import PINPOINTS, grids_of
from mllm.data.hf_chat import MORE_TEMPLATES
from mllm.data.hf_text import as_folder_says, bos_of, name_of, optional, read_tokens
from mllm.data.images import CLIP_MEAN
from mllm.data.processor import Processor, ProcessorConfig
from mllm.data.templates import CHAT_TEMPLATES
from mllm.files import read_json, write_json, write_text
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
BLOCKS = {"llava": "plain", "llava_next": "plain", "idefics2": "idefics2", "idefics3": "idefics3"}
FORMATS = {"idefics2": "idefics2", "idefics3": "idefics2"}  # of others that of their decoder
PROCESSORS = {
    "llava": "LlavaProcessor",
    "llava_next": "LlavaNextProcessor",
    "idefics2": "Idefics2Processor",
    "idefics3": "Idefics3Processor",
}


def read_hf_processor(folder: Path, family: str, image_tokens: int) -> Processor:
    """Read the processor of a folder, for a model with ``image_tokens`` tokens per image or tile.

    Args:
      family: llava, llava_next, idefics2 or idefics3 (SmolVLM too). A folder without a chat
        template has the published one of its family.

    Raises:
      FileNotFoundError, ValueError: the message names the file, the key, found and expected.
    """
    lookup(KINDS, family, "family of processors")
    tokenizer, names = read_tokens(folder)
    bos = bos_of(tokenizer, folder, names)
    image = optional(folder / "processor_config.json").get("image_token") or "<image>"
    image = name_of(image)
    if tokenizer.token_to_id(image) is None:
        raise ValueError(
            f"{folder / 'tokenizer.json'}: has no image token {image!r}; add it as a special token "
            "to tokenizer and embedding, and save the folder again with transformers"
        )
    starts = family == "idefics3" and bos is None
    starts = starts and tokenizer.token_to_id("<|im_start|>") is not None
    sequence = optional(folder / "processor_config.json").get("image_seq_len", image_tokens)
    if sequence != image_tokens:
        raise ValueError(
            f"{folder / 'processor_config.json'}: image_seq_len is {sequence}, but an image of the "
            f"model takes {image_tokens} tokens"
        )
    return as_folder_says(
        folder,
        tokenizer,
        names,
        **read_images(folder, family, image_tokens),
        chat_format="smolvlm" if starts else _published_format(folder, family),
        image_block=BLOCKS[family],
        bos=bos,
        image=image,
        image_tokens=image_tokens,
    )


def _published_format(folder: Path, family: str) -> str:
    """Return the chat format of the published folders of a family: LLaVA's have Vicuna's, but for
    LLaVA-NeXT with a decoder of Mistral's.
    """
    text = optional(folder / "config.json").get("text_config") or {}
    named = family == "llava_next" and text.get("model_type") == "mistral"
    return FORMATS.get(family, "mistral" if named else "vicuna")


def read_image_settings(folder: Path) -> tuple[Path, dict]:
    """Return (file, settings of the image processor), ``image_mean`` and ``image_std`` among them.

    Raises:
      FileNotFoundError: neither of the two files that may hold them is there.
    """
    nested, plain = folder / "processor_config.json", folder / "preprocessor_config.json"
    settings = optional(nested).get("image_processor")
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


def write_hf_processor(folder: Path, processor: Processor, family: str, vision) -> None:
    """Write the files that ``AutoProcessor`` and ``AutoTokenizer`` need.

    Args:
      vision: the config of the tower; its ``patch_size``, ``class_token``, ``drop_first``, ``mean``
        and ``std`` are written.

    Raises:
      ValueError: the family's processor makes other pictures or other image tokens than ours.
    """
    config = processor.config
    kinds = {
        transform: kind for kind, transform in reversed(lookup(KINDS, family, "family").items())
    }
    if config.transform not in kinds or config.image_block != BLOCKS[family]:
        raise ValueError(
            f"{folder}: a processor of family {family!r} has a transform of {sorted(kinds)} and "
            f"the image block {BLOCKS[family]!r}, found {config.transform!r} and "
            f"{config.image_block!r}"
        )
    if config.transform == "anyres" and not config.split:
        raise ValueError(
            f"{folder}: split is False, expected True: {PROCESSORS[family]} always shows tiles of "
            "a larger canvas too"
        )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_str(processor.tokenizer.to_str())
    begin = "" if config.bos is None else f"{config.bos}:0 "
    names = [] if config.bos is None else [(config.bos, processor.token_id(config.bos))]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin}$A:0", pair=f"{begin}$A:0 $B:0", special_tokens=names
    )
    write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    named = {"bos_token": config.bos, "eos_token": config.eos, "pad_token": config.pad}
    named = {role: name for role, name in named.items() if name is not None}
    write_json(folder / "special_tokens_map.json", named)
    kind = {"processor_class": PROCESSORS[family]}
    # Not the family's own class of tokenizers: those rebuild what tokenizer.json says. But where
    # Idefics2Processor spaces words that the tokenizer spaces too, that class is what undoes it.
    options = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    if family == "idefics2" and processor.prepends:
        options |= {"tokenizer_class": "LlamaTokenizer", "legacy": True}
        options["add_bos_token"] = config.bos is not None
    # Without it, tokenizers of transformers 4 return token_type_ids, which no model here takes.
    options["model_input_names"] = ["input_ids", "attention_mask"]
    write_json(folder / "tokenizer_config.json", {**named, **options, **kind})
    pictures = _written_images(folder, config, kinds[config.transform], vision)
    write_json(folder / "preprocessor_config.json", {**pictures, **kind})
    if family in ("llava", "llava_next"):
        layout = {
            "image_token": config.image,
            "patch_size": vision.patch_size,
            "num_additional_image_tokens": int(vision.class_token),
            "vision_feature_select_strategy": "default" if vision.drop_first else "full",
        }
    else:
        layout = {"image_seq_len": config.image_tokens}
    write_json(folder / "processor_config.json", {**layout, **kind})
    _write_template(folder, config)


def keep_chat_format(folder: Path, processor: Processor, family: str) -> None:
    """Give a folder the chat template of a processor, if it is read with another one: a model that
    learned conversations in a chosen format is to be asked in it.
    """
    there = read_hf_processor(folder, family, processor.config.image_tokens)
    if _source(there.config) == _source(processor.config):
        return
    for name in ("processor_config.json", "tokenizer_config.json"):
        if (folder / name).is_file() and "chat_template" in (content := read_json(folder / name)):
            content.pop("chat_template")
            write_json(folder / name, content)
    _write_template(folder, processor.config)


def _write_template(folder: Path, config: ProcessorConfig) -> None:
    """Write the chat template where transformers 4 looks for it, and where transformers 5 does."""
    write_text(folder / "chat_template.jinja", _source(config))
    if (folder / MORE_TEMPLATES).is_dir():  # transformers 5 refuses both, and 4 knows neither
        (folder / "chat_template.json").unlink(missing_ok=True)
    else:
        write_json(folder / "chat_template.json", {"chat_template": _source(config)})


def _source(config: ProcessorConfig) -> str:
    """Return the Jinja source of a chat format."""
    template = config.chat_template
    return CHAT_TEMPLATES[config.chat_format] if template is None else template.source


def _written_images(folder: Path, config: ProcessorConfig, kind: str, vision) -> dict:
    numbers = {name: number for number, name in RESAMPLE.items()}
    settings = {
        "image_processor_type": kind,
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
