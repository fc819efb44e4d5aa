"""Read encoders of pictures from Hugging Face folders: CLIP, SigLIP, SigLIP 2, DINOv2 and SAM.

A folder holds the encoder alone or a model that it is a part of; the other parts are not read.
"""

import re
from dataclasses import replace
from os import PathLike
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np

from mllm.checkpoints.encoder_config import read_encoder_config
from mllm.checkpoints.hf import Source, check_source, find_prefixes, read_tree
from mllm.checkpoints.hf_processors import pixel_statistics
from mllm.checkpoints.loaded import CONFIG
from mllm.checkpoints.positions import resample_distances, resample_positions
from mllm.checkpoints.quantised import open_weights
from mllm.checkpoints.tables import LAYOUTS
from mllm.checkpoints.tensor_files import TensorFiles
from mllm.checkpoints.tower_tables import TOWERS
from mllm.files import read_json
from mllm.models.encoders.sam import SamConfig, SamEncoder
from mllm.models.vit import VisionConfig, VisionTower

# The other parts of whole models, pooling, and what only training uses.
_OTHERS = (
    r"^(text_model|text_projection|visual_projection|logit_scale|logit_bias)(\.|$)",
    r"(^|vision_model\.)head\.",
    r"(^|\.)mask_token$",
    r"^classifier\.",
    r"^(prompt_encoder|mask_decoder|shared_image_embedding)\.",
)
_LAST_NORM = r"(^|\.)(post_layernorm|layernorm)\."
_DISTANCES = r"\.attn\.rel_pos_[hw]$"
_RESAMPLING = {
    "dinov2_with_registers": "antialiased bicubic",
    "siglip2_vision_model": "antialiased bilinear",
}


def read_encoder(
    folder: str | PathLike, *, image_size: int | None = None, layers: int | None = None
) -> tuple[VisionConfig | SamConfig, dict]:
    """Read an encoder.

    Args:
      folder: holds config.json and safetensors of transformers' CLIPModel, CLIPVisionModel,
        SiglipModel, SiglipVisionModel, Siglip2Model, Siglip2VisionModel, Dinov2Model,
        Dinov2WithRegistersModel, SamModel or SamVisionModel. Mean and standard deviation of pixels
        are those of its image processor, if it has one, else those of the family.
      image_size: side of the square images in pixels; positions are resampled to it. None keeps the
        size of the folder.
      layers: how many layers are kept; -2 is all but the last. The features are then the hidden
        state of this number, without the norm that follows the last layer. None keeps all, and the
        norm, if ``last_hidden_state`` has it.

    Returns:
      (config, parameters as NumPy float32 of ``mllm.models.vit.VisionTower`` or
      ``mllm.models.encoders.sam.SamEncoder``). The features are those of the patches, without
      class token and registers.

    Raises:
      FileNotFoundError, ValueError: the message names file, key or tensor, expected and found.
    """
    folder = Path(folder)
    where = folder / CONFIG
    raw = read_json(where)
    kind, config = read_encoder_config(where, raw, pixel_statistics(folder))
    all_layers = config.layers
    if layers is not None:
        config = _cut(config, layers, where)
    if image_size is not None and (image_size < 1 or image_size % config.patch_size):
        raise ValueError(
            f"image_size: expected a multiple of {config.patch_size}, the patch size of {where}, "
            f"found {image_size}"
        )
    files = open_weights(folder, raw)
    unused = [*_OTHERS, _DISTANCES]
    if kind == "clip_vision_model" or layers is not None:
        unused.append(_LAST_NORM)
    spare = "|".join(map(str, range(config.layers, all_layers)))
    if spare:
        unused.append(rf"(^|\.)encoder\.layers?\.({spare})\.")
    sam = isinstance(config, SamConfig)
    wanted = _shapes(SamEncoder(config) if sam else VisionTower(config), config)
    distances = {}
    if sam:
        distances = {name: shape for name, shape in wanted.items() if _of_distances(name)}
        wanted = {name: leaf for name, leaf in wanted.items() if name not in distances}
    tree, _ = read_tree(
        files, TOWERS[kind], wanted, dtype="float32", unused=re.compile("|".join(unused))
    )
    params = jax.device_get(tree)
    if sam:
        prefix = find_prefixes(files, TOWERS[kind])[0]
        params |= {name: _read_distances(files, prefix, config, name) for name in distances}
    if image_size not in (None, config.image_size):
        config, params = _resample(config, params, image_size, _RESAMPLING.get(kind, "bicubic"))
    return config, params


def _cut(config: VisionConfig | SamConfig, layers: int, where: Path) -> VisionConfig:
    """Return the configuration of the first layers."""
    count = config.layers
    if isinstance(config, SamConfig):
        raise ValueError(f"layers: expected None for SAM, whose neck follows all {count} layers")
    kept = layers if layers > 0 else count + 1 + layers
    if not 1 <= kept <= count:
        raise ValueError(
            f"layers: expected 1 to {count} or -{count} to -1, those of {where}, found {layers}"
        )
    return replace(config, layers=kept, post_norm=False)


def _shapes(module: nn.Module, config: VisionConfig | SamConfig) -> dict:
    side = config.image_size
    pixels = jax.ShapeDtypeStruct((1, side, side, 3), np.float32)
    return jax.eval_shape(module.init, jax.random.key(0), pixels)["params"]


def _of_distances(name: str) -> bool:
    return name.endswith(("_rows", "_columns"))


def _read_distances(files: TensorFiles, prefix: str, config: SamConfig, name: str) -> np.ndarray:
    """Read one of SAM's stacks of terms for distances, which exist for a part of its layers."""
    kind, axis = name.split("_")
    whole = kind == "global"
    numbers = [n for n in range(config.layers) if (n in config.global_layers) == whole]
    letter = {"rows": "h", "columns": "w"}[axis]
    names = tuple(f"{prefix}layers.{n}.attn.rel_pos_{letter}" for n in numbers)
    shape = 2 * (config.grid if whole else config.window) - 1, config.inner_width // config.heads
    check_source(files, Source(names, shape, (name,), 0, LAYOUTS["same"], True))
    return np.stack([files.read(one).astype(np.float32) for one in names])


def _resample(
    config: VisionConfig | SamConfig, params: dict, image_size: int, method: str
) -> tuple[VisionConfig | SamConfig, dict]:
    """Return configuration and parameters for images of another size."""
    old, config = config, replace(config, image_size=image_size)
    if isinstance(config, SamConfig):
        flat = params["position"].reshape(old.tokens, -1)
        shape = config.grid, config.grid, -1
        changed = {"position": resample_positions(flat, config.grid, method).reshape(shape)}
        for name in ("global_rows", "global_columns"):
            if name in params:
                changed[name] = resample_distances(params[name], config.grid)
        return config, {**params, **changed}
    first = int(config.class_token)
    table = params["position"]
    patches = resample_positions(table[first:], config.grid, method)
    return config, {**params, "position": np.concatenate([table[:first], patches])}
