"""Read CLIP from a Hugging Face folder: two towers, a tokenizer and a rule for pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tokenizers import Tokenizer

from mllm.checkpoints.hf import read_tree
from mllm.checkpoints.hf_config import VISION_DEFAULTS, read_vision
from mllm.checkpoints.hf_processors import pixel_statistics
from mllm.checkpoints.hf_section import ACTIVATIONS, Section
from mllm.checkpoints.loaded import CONFIG
from mllm.checkpoints.quantised import open_weights
from mllm.checkpoints.tables import CLIP
from mllm.data.hf_images import read_image_settings, read_images
from mllm.data.images import ImageConfig
from mllm.data.processor import read_tokenizer
from mllm.files import read_json
from mllm.models.clip import ClipConfig, TextConfig, abstract
from mllm.models.vit import VisionConfig

MODEL_TYPE, SCALE, TOKENIZER = "clip", "logit_scale", "tokenizer.json"
_TEXT = {
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "eos_token_id": 49407,
}
_FIRST_FILES = 2  # the eos_token_id of the first folders, which is not that of their tokenizers


@dataclass(frozen=True)
class LoadedClip:
    """A CLIP as it was read.

    Attributes:
      variables: {"params": ...}, float32. scale: what cosines are multiplied by.
      tokenizer: adds the tokens of beginning and end. images: how pictures become squares.
    """

    config: ClipConfig
    variables: dict
    scale: float
    tokenizer: Tokenizer
    images: ImageConfig


def is_clip_folder(folder: Path) -> bool:
    """Return whether a folder says that it holds a CLIP of both towers."""
    where = Path(folder) / CONFIG
    return where.is_file() and read_json(where).get("model_type") == MODEL_TYPE


def read_clip(folder: Path) -> LoadedClip:
    """Read a folder that transformers' ``CLIPModel`` and ``CLIPProcessor`` were saved in.

    Raises:
      FileNotFoundError, ValueError: the message names file, key or tensor, expected and found.
    """
    folder = Path(folder)
    where = folder / CONFIG
    raw = read_json(where)
    config = read_clip_config(where, raw, pixel_statistics(folder))
    images = _read_square(folder, config)
    tokenizer = _read_tokenizer(folder, config.text)
    files = open_weights(folder, raw)
    wanted = abstract(config)["params"]
    tree, carried = read_tree(files, CLIP, wanted, dtype="float32")
    if SCALE not in carried:
        raise ValueError(f"{files.where}: tensor {SCALE!r} is missing: expected a number")
    if carried[SCALE].size != 1:
        raise ValueError(
            f"{files.path(SCALE)}: tensor {SCALE!r}: expected one number, found shape "
            f"{carried[SCALE].shape}"
        )
    scale = float(np.exp(carried[SCALE].astype(np.float32).reshape(())))
    return LoadedClip(config, {"params": jax.block_until_ready(tree)}, scale, tokenizer, images)


def read_clip_config(path: Path, raw: Mapping[str, Any], pixels: Mapping[str, Any]) -> ClipConfig:
    """Return the configuration of a config.json.

    Args:
      path: the file, to name it in errors. raw: its content.
      pixels: ``mean`` and ``std`` of the image processor.

    Raises:
      ValueError: the message names file, key, expected and found.
    """
    top = Section(path, "", dict(raw), {})
    top.choice("model_type", {MODEL_TYPE: MODEL_TYPE})
    vision = top.newest_part("vision_config", VISION_DEFAULTS["clip_vision_model"])
    text = top.newest_part("text_config", _TEXT)
    heads, width = text.number("num_attention_heads"), text.number("hidden_size")
    if width % heads:
        raise text.error("num_attention_heads", f"a divisor of hidden_size {width}")
    end, rows = text.number("eos_token_id"), text.number("vocab_size")
    if end >= rows:
        raise text.error("eos_token_id", f"a number below vocab_size {rows}")
    return ClipConfig(
        VisionConfig(**read_vision(vision, pixels), drop_first=False, post_norm=True),
        TextConfig(
            vocab_size=rows,
            positions=text.number("max_position_embeddings"),
            width=width,
            layers=text.number("num_hidden_layers"),
            heads=heads,
            mlp_width=text.number("intermediate_size"),
            norm_eps=text.number("layer_norm_eps", kind=float),
            activation=text.choice("hidden_act", ACTIVATIONS),
            end=None if end == _FIRST_FILES else end,
        ),
        top.number("projection_dim", 512),
    )


def _read_square(folder: Path, config: ClipConfig) -> ImageConfig:
    where, _ = read_image_settings(folder)
    images = ImageConfig(**read_images(folder, MODEL_TYPE))
    if images.image_size != config.vision.image_size:
        raise ValueError(
            f"{where}: makes square images of {images.image_size} pixels, expected "
            f"{config.vision.image_size}, the vision_config.image_size of {folder / CONFIG}"
        )
    return images


def _read_tokenizer(folder: Path, text: TextConfig) -> Tokenizer:
    """Return the tokenizer, after checking that the tower finds the ends of its texts."""
    where = folder / TOKENIZER
    if not where.is_file():
        raise FileNotFoundError(
            f"{where}: no such file; write it with transformers: "
            "AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER)"
        )
    tokenizer = read_tokenizer(where)
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if highest >= text.vocab_size:
        raise ValueError(
            f"{where}: its highest token has ID {highest}, expected IDs below vocab_size "
            f"{text.vocab_size} of {folder / CONFIG}"
        )
    ids = tokenizer.encode("a").ids
    expected = highest if text.end is None else text.end
    if not ids or ids[-1] != expected:
        why = "the highest, which eos_token_id 2 stands for" if text.end is None else "eos_token_id"
        raise ValueError(
            f"{where}: a text ends with token {ids[-1] if ids else None}, expected {expected} "
            f"({why} of text_config in {folder / CONFIG}); save the tokenizer again with "
            "transformers' CLIPTokenizer"
        )
    return tokenizer
