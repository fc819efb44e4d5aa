"""Read ``config.json`` of an encoder of pictures from a Hugging Face folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mllm.checkpoints.hf_config import CLIP_PIXELS, SIGLIP_PIXELS, VISION_DEFAULTS, read_vision
from mllm.checkpoints.hf_section import Section
from mllm.models.encoders.sam import SamConfig
from mllm.models.vit import VisionConfig

_IMAGENET_PIXELS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
# Models of several towers -> the model_type of the one that sees.
_WHOLE = {
    "clip": "clip_vision_model",
    "siglip": "siglip_vision_model",
    "siglip2": "siglip2_vision_model",
    "sam": "sam_vision_model",
}
_DINOV2 = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 14,
}
_DEFAULTS = {
    **{name: VISION_DEFAULTS[name] for name in ("clip_vision_model", "siglip_vision_model")},
    "siglip2_vision_model": {**VISION_DEFAULTS["siglip_vision_model"], "num_patches": 256},
    "dinov2": _DINOV2,
    "dinov2_with_registers": {**_DINOV2, "patch_size": 16, "num_register_tokens": 4},
    "sam_vision_model": {
        "hidden_size": 768,
        "output_channels": 256,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 1024,
        "patch_size": 16,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "mlp_ratio": 4.0,
        "window_size": 14,
        "global_attn_indexes": [2, 5, 8, 11],
    },
}
_PIXELS = {"clip_vision_model": CLIP_PIXELS, "siglip_vision_model": SIGLIP_PIXELS}
_PIXELS["siglip2_vision_model"] = SIGLIP_PIXELS


def read_encoder_config(
    path: Path, raw: Mapping[str, Any], pixels: Mapping[str, Any]
) -> tuple[str, VisionConfig | SamConfig]:
    """Return (``model_type`` of the tower, its configuration with all its layers).

    Args:
      path: the file, to name it in errors. raw: its content.
      pixels: ``mean`` and ``std`` of the image processor, {} for those of the family.

    Raises:
      ValueError: the message names file, key, expected and found.
    """
    top = Section(path, "", dict(raw), {})
    kind = top.choice("model_type", {name: name for name in (*_DEFAULTS, *_WHOLE)})
    if kind in _WHOLE:
        kind = _WHOLE[kind]
        section = top.newest_part("vision_config", _DEFAULTS[kind])
    else:
        section = Section(path, "", dict(raw), _DEFAULTS[kind])
    pixels = {**_PIXELS.get(kind, _IMAGENET_PIXELS), **pixels}
    return kind, _READERS[kind](section, pixels)


def _read_clip(section: Section, pixels: Mapping) -> VisionConfig:
    return VisionConfig(**read_vision(section, pixels))


def _read_siglip(section: Section, pixels: Mapping) -> VisionConfig:
    return VisionConfig(
        **read_vision(section, pixels), **_PLAIN, class_token=False, drop_first=False
    )


def _read_siglip2(section: Section, pixels: Mapping) -> VisionConfig:
    count = section.number("num_patches")
    side = round(count**0.5)
    if side * side != count:
        raise section.error("num_patches", "a square number")
    section.values["image_size"] = side * section.number("patch_size")
    return _read_siglip(section, pixels)


def _read_dinov2(section: Section, pixels: Mapping) -> VisionConfig:
    _require(section, "qkv_bias")
    gated = section.flag("use_swiglu_ffn")
    width = int(section.number("hidden_size") * section.number("mlp_ratio", kind=float))
    section.values["intermediate_size"] = (width * 2 // 3 + 7) // 8 * 8 if gated else width
    registers = "num_register_tokens" in section.values
    return VisionConfig(
        **read_vision(section, pixels),
        **_PLAIN,
        layer_scale=True,
        gated=gated,
        registers=section.number("num_register_tokens") if registers else 0,
    )


def _read_sam(section: Section, pixels: Mapping) -> SamConfig:
    for key in ("qkv_bias", "use_abs_pos", "use_rel_pos"):
        _require(section, key)
    width = section.number("hidden_size")
    ratio = section.number("mlp_ratio", kind=float)
    section.values["intermediate_size"] = section.number("mlp_dim", int(width * ratio))
    found = read_vision(section, pixels)
    if found["image_size"] % found["patch_size"]:
        raise section.error("image_size", f"a multiple of patch_size {found['patch_size']}")
    chosen, count = section.values["global_attn_indexes"], found["layers"]
    known = isinstance(chosen, list) and all(type(n) is int and 0 <= n < count for n in chosen)
    if not known or len(set(chosen)) < len(chosen):
        raise section.error("global_attn_indexes", f"a list of different numbers below {count}")
    return SamConfig(
        **{name: value for name, value in found.items() if name != "width"},
        inner_width=width,
        width=section.number("output_channels"),
        window=section.number("window_size"),
        global_layers=tuple(chosen),
    )


def _require(section: Section, key: str) -> None:
    if not section.flag(key, True):
        raise section.error(key, "true: others are not supported")


_PLAIN = {"pre_norm": False, "post_norm": True, "patch_bias": True}
_READERS = {
    "clip_vision_model": _read_clip,
    "siglip_vision_model": _read_siglip,
    "siglip2_vision_model": _read_siglip2,
    "dinov2": _read_dinov2,
    "dinov2_with_registers": _read_dinov2,
    "sam_vision_model": _read_sam,
}
