"""Read ``config.json`` of a Hugging Face folder into our configurations.

The file holds only what differs from the library's defaults. These defaults, the same in
transformers 4 and 5, are therefore part of the format and are listed here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mllm.checkpoints.hf_audio_config import read_listener
from mllm.checkpoints.hf_decoder_config import read_decoder
from mllm.checkpoints.hf_section import ACTIVATIONS, Section
from mllm.data.anyres import PINPOINTS, grids_of
from mllm.models import (
    ConnectorConfig,
    Idefics2Config,
    Idefics3Config,
    LlavaConfig,
    LlavaNextConfig,
    ProjectorConfig,
    ResamplerConfig,
    VisionConfig,
)

FAMILIES = {
    "llava": "llava",
    "llava_next": "llava_next",
    "idefics2": "idefics2",
    "idefics3": "idefics3",
    "smolvlm": "idefics3",
    "qwen2_audio": "listener",
}

_VIT = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}
VISION_DEFAULTS = {
    "clip_vision_model": {**_VIT, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5},
    "siglip_vision_model": {**_VIT, "patch_size": 16},
    "idefics2": _VIT,
    "idefics3": {**_VIT, "hidden_size": 1152, "num_attention_heads": 16},
}
_LLAVA_TOWER = {
    "model_type": "clip_vision_model",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "patch_size": 14,
    "image_size": 336,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
_PERCEIVER = {
    "hidden_act": "silu",
    "hidden_size": 4096,
    "rms_norm_eps": 1e-6,
    "resampler_n_latents": 64,
    "resampler_depth": 3,
    "resampler_n_heads": 16,
    "resampler_head_dim": 96,
    "num_key_value_heads": 4,
}
CLIP_PIXELS = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
SIGLIP_PIXELS = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


def family_of(path: Path, raw: Mapping[str, Any]) -> str:
    """Return our family for a config.json.

    Raises:
      ValueError: the architecture is not supported.
    """
    found = raw.get("model_type")
    if not isinstance(found, str) or found not in FAMILIES:
        raise ValueError(
            f"{path}: key 'model_type': found {found!r} (architectures "
            f"{raw.get('architectures')!r}), expected one of {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[found]


def text_kind_of(raw: Mapping[str, Any]) -> str | None:
    """Return the ``model_type`` of the decoder, or None if it is that of the family."""
    return (raw.get("text_config") or {}).get("model_type")


def read_config(path: Path, raw: Mapping[str, Any], pixels: Mapping[str, Any], dtype: str):
    """Return our configuration for a config.json.

    Args:
      path: the file, to name it in errors.
      raw: its content.
      pixels: ``mean`` and ``std`` of the image processor, {} for those of the family.
      dtype: dtype of activations.

    Raises:
      ValueError: the message names file, key, expected and found.
    """
    family = family_of(path, raw)
    return _READERS[family](Section(path, "", dict(raw), {}), pixels, dtype)


def _read_llava(top: Section, pixels: Mapping, dtype: str) -> LlavaConfig:
    return LlavaConfig(**_read_llava_parts(top, pixels), dtype=dtype)


def _read_llava_next(top: Section, pixels: Mapping, dtype: str) -> LlavaNextConfig:
    parts = _read_llava_parts(top, pixels)
    if parts["vision"].class_token and not parts["vision"].drop_first:
        raise top.error("vision_feature_select_strategy", "default: grids hold no class token")
    pinpoints = top.values.get("image_grid_pinpoints")
    if pinpoints is None:
        pinpoints = PINPOINTS
    try:
        grids = grids_of(pinpoints, parts["vision"].image_size)
    except ValueError as error:
        raise top.error("image_grid_pinpoints", str(error)) from None
    return LlavaNextConfig(**parts, grids=grids, dtype=dtype)


def _read_llava_parts(top: Section, pixels: Mapping) -> dict[str, Any]:
    tower = top.values.get("vision_config") or _LLAVA_TOWER
    kind = Section(top.path, "vision_config", tower, {"model_type": "clip_vision_model"})
    known = ("clip_vision_model", "siglip_vision_model")
    defaults = kind.choice("model_type", {name: VISION_DEFAULTS[name] for name in known})
    clip = kind.values["model_type"] == "clip_vision_model"
    section = Section(top.path, "vision_config", tower, defaults)
    strategies = {None: True, "default": True, "full": False}
    drop = top.choice("vision_feature_select_strategy", strategies)
    vision = read_vision(section, {**(CLIP_PIXELS if clip else SIGLIP_PIXELS), **pixels})
    count = vision["layers"]
    chosen = top.values.get("vision_feature_layer", -2)
    numbers = chosen if isinstance(chosen, list) else [chosen]
    if not numbers or not all(type(n) is int and -count - 1 <= n <= count for n in numbers):
        raise top.error("vision_feature_layer", f"{-count - 1} to {count}, or a list of such")
    hidden = [n if n >= 0 else count + 1 + n for n in numbers]
    joined = isinstance(chosen, list) or hidden == [0]
    vision.update(
        layers=max(*hidden, 1),
        outputs=tuple(hidden) if joined else (),
        class_token=clip,
        drop_first=drop,
        pre_norm=clip,
        patch_bias=not clip,
    )
    text = top.part("text_config", {"model_type": "llama"})
    decoder = read_decoder(text, top.values.get("tie_word_embeddings") or None)
    projector = ProjectorConfig(
        decoder.width,
        decoder.width,
        top.choice("projector_hidden_act", {None: "gelu", **ACTIVATIONS}),
        bias=top.flag("multimodal_projector_bias", True),
    )
    return {"decoder": decoder, "vision": VisionConfig(**vision), "projector": projector}


def _read_idefics2(top: Section, pixels: Mapping, dtype: str) -> Idefics2Config:
    text = top.part("text_config", {"model_type": "mistral"})
    section = top.part("vision_config", VISION_DEFAULTS["idefics2"])
    vision = _ragged(read_vision(section, {**SIGLIP_PIXELS, **pixels}), partial_patches=False)
    defaults = {"max_position_embeddings": 4096 * 8, "rms_norm_eps": 1e-5}
    decoder = read_decoder(text, top.values.get("tie_word_embeddings", False), defaults)
    resampler = top.part("perceiver_config", _PERCEIVER)
    width, eps = resampler.number("hidden_size"), resampler.number("rms_norm_eps", kind=float)
    if width != decoder.width:  # transformers then takes both from the decoder
        width, eps = decoder.width, decoder.norm_eps
    heads, kv_heads = resampler.number("resampler_n_heads"), resampler.number("num_key_value_heads")
    if heads % kv_heads:
        raise resampler.error("num_key_value_heads", f"a divisor of resampler_n_heads {heads}")
    return Idefics2Config(
        decoder,
        vision,
        ConnectorConfig(decoder.mlp_width, decoder.width, decoder.activation),
        ResamplerConfig(
            latents=resampler.number("resampler_n_latents"),
            width=width,
            layers=resampler.number("resampler_depth"),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=resampler.number("resampler_head_dim"),
            mlp_width=4 * width,
            norm_eps=eps,
            activation=resampler.choice("hidden_act", ACTIVATIONS),
        ),
        dtype,
    )


def _read_idefics3(top: Section, pixels: Mapping, dtype: str) -> Idefics3Config:
    section = top.part("vision_config", VISION_DEFAULTS["idefics3"])
    vision = _ragged(read_vision(section, {**SIGLIP_PIXELS, **pixels}), partial_patches=True)
    defaults = {"rms_norm_eps": 1e-5}
    text = top.part("text_config", {"model_type": "llama"})
    decoder = read_decoder(text, top.values.get("tie_word_embeddings", False), defaults)
    join, patches = top.number("scale_factor", 2), vision.image_size // vision.patch_size
    if patches % join:
        raise top.error("scale_factor", f"a divisor of {patches}, the patches along a side")
    return Idefics3Config(decoder, vision, join=join, dtype=dtype)


_READERS = {
    "llava": _read_llava,
    "llava_next": _read_llava_next,
    "idefics2": _read_idefics2,
    "idefics3": _read_idefics3,
    "listener": lambda top, pixels, dtype: read_listener(top, dtype),
}


def read_vision(section: Section, pixels: Mapping) -> dict[str, Any]:
    """Return the fields of a VisionConfig that ``vision_config`` holds.

    Args:
      section: with its defaults (``VISION_DEFAULTS``). pixels: ``mean`` and ``std``.

    Raises:
      ValueError: the message names file, key, expected and found.
    """
    heads, width = section.number("num_attention_heads"), section.number("hidden_size")
    if width % heads:
        raise section.error("num_attention_heads", f"a divisor of hidden_size {width}")
    if section.values.get("num_channels", 3) != 3:
        raise section.error("num_channels", "3")
    side, patch = section.number("image_size"), section.number("patch_size")
    if patch > side:
        raise section.error("patch_size", f"at most image_size {side}")
    return {
        "image_size": side,
        "patch_size": patch,
        "width": width,
        "layers": section.number("num_hidden_layers"),
        "heads": heads,
        "mlp_width": section.number("intermediate_size"),
        "norm_eps": section.number("layer_norm_eps", kind=float),
        "activation": section.choice("hidden_act", ACTIVATIONS),
        **pixels,
    }


def _ragged(vision: dict[str, Any], partial_patches: bool) -> VisionConfig:
    return VisionConfig(
        **vision,
        class_token=False,
        drop_first=False,
        pre_norm=False,
        post_norm=True,
        patch_bias=True,
        ragged=True,
        partial_patches=partial_patches,
    )
