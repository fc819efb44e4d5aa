"""Read ``config.json`` of a Hugging Face folder into our configurations.

The file holds only what differs from the library's defaults. These defaults, the same in
transformers 4 and 5, are therefore part of the format and are listed here.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mllm.models import (
    ConnectorConfig,
    DecoderConfig,
    Idefics2Config,
    Idefics3Config,
    LlavaConfig,
    ProjectorConfig,
    ResamplerConfig,
    VisionConfig,
)
from mllm.ops.rope import RopeScaling

FAMILIES = {"llava": "llava", "idefics2": "idefics2", "idefics3": "idefics3", "smolvlm": "idefics3"}

ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
_LLAMA = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}
_TEXT = {
    "llama": _LLAMA,
    "mistral": {
        **_LLAMA,
        "intermediate_size": 14336,
        "num_key_value_heads": 8,
        "max_position_embeddings": 4096 * 32,
        "sliding_window": 4096,
    },
    "qwen2": {
        **_LLAMA,
        "vocab_size": 151936,
        "intermediate_size": 22016,
        "num_key_value_heads": 32,
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
    },
    "phi3": {
        **_LLAMA,
        "vocab_size": 32064,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
    },
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
_VISION = {
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
_CLIP_PIXELS = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
_SIGLIP_PIXELS = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


class Section:
    """A section of config.json with its defaults; every error names the file and the key."""

    def __init__(self, path: Path, name: str, values: object, defaults: Mapping[str, Any]):
        self.path, self.name = path, name
        if not isinstance(values, dict):
            raise ValueError(f"{path}: key {name!r}: expected an object, found {values!r}")
        self.values = {**defaults, **values}

    def error(self, key: str, expected: str) -> ValueError:
        """Return the error to raise about a key."""
        where = f"{self.name}.{key}" if self.name else key
        return ValueError(
            f"{self.path}: key {where!r}: expected {expected}, found {self.values.get(key)!r}"
        )

    def part(self, key: str, defaults: Mapping[str, Any]) -> "Section":
        """Return the section under a key."""
        return Section(self.path, key, self.values.get(key) or {}, defaults)

    def number(self, key: str, default: float | None = None, kind: type = int) -> Any:
        """Return a positive number."""
        value = self.values.get(key)
        value = default if value is None else value
        if type(value) not in (int, kind) or not 0 < value < math.inf:
            raise self.error(key, f"a positive {kind.__name__}")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, "true or false")
        return value

    def choice(self, key: str, known: Mapping[str, Any]) -> Any:
        """Return the value that the name under a key stands for."""
        name = self.values.get(key)
        if not isinstance(name, str | None) or name not in known:
            raise self.error(key, f"one of {', '.join(sorted(filter(None, known)))}")
        return known[name]


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
    tower = top.values.get("vision_config") or _LLAVA_TOWER
    kind = Section(top.path, "vision_config", tower, {"model_type": "clip_vision_model"})
    known = ("clip_vision_model", "siglip_vision_model")
    defaults = kind.choice("model_type", {name: _VISION[name] for name in known})
    clip = kind.values["model_type"] == "clip_vision_model"
    section = Section(top.path, "vision_config", tower, defaults)
    strategies = {None: True, "default": True, "full": False}
    drop = top.choice("vision_feature_select_strategy", strategies)
    vision = _read_vision(section, {**(_CLIP_PIXELS if clip else _SIGLIP_PIXELS), **pixels})
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
    decoder = _read_decoder(text, top.values.get("tie_word_embeddings") or None)
    projector = ProjectorConfig(
        decoder.width,
        decoder.width,
        top.choice("projector_hidden_act", {None: "gelu", **ACTIVATIONS}),
        bias=top.flag("multimodal_projector_bias", True),
    )
    return LlavaConfig(decoder, VisionConfig(**vision), projector, dtype)


def _read_idefics2(top: Section, pixels: Mapping, dtype: str) -> Idefics2Config:
    text = top.part("text_config", {"model_type": "mistral"})
    section = top.part("vision_config", _VISION["idefics2"])
    vision = _ragged(_read_vision(section, {**_SIGLIP_PIXELS, **pixels}), partial_patches=False)
    defaults = {"max_position_embeddings": 4096 * 8, "rms_norm_eps": 1e-5}
    decoder = _read_decoder(text, top.values.get("tie_word_embeddings", False), defaults)
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
    section = top.part("vision_config", _VISION["idefics3"])
    vision = _ragged(_read_vision(section, {**_SIGLIP_PIXELS, **pixels}), partial_patches=True)
    defaults = {"rms_norm_eps": 1e-5}
    text = top.part("text_config", {"model_type": "llama"})
    decoder = _read_decoder(text, top.values.get("tie_word_embeddings", False), defaults)
    join, patches = top.number("scale_factor", 2), vision.image_size // vision.patch_size
    if patches % join:
        raise top.error("scale_factor", f"a divisor of {patches}, the patches along a side")
    return Idefics3Config(decoder, vision, join=join, dtype=dtype)


_READERS = {"llava": _read_llava, "idefics2": _read_idefics2, "idefics3": _read_idefics3}


def _read_vision(section: Section, pixels: Mapping) -> dict[str, Any]:
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


def _read_decoder(text: Section, tied: bool | None, defaults: Mapping = {}) -> DecoderConfig:
    """Read a text_config; ``tied`` from the top of the file overrides that of the section."""
    kind = text.values["model_type"]
    known = text.choice("model_type", _TEXT)
    text = Section(text.path, text.name, text.values, {**known, **defaults})
    heads, width = text.number("num_attention_heads"), text.number("hidden_size")
    kv_heads, head_dim = text.number("num_key_value_heads", heads), width // heads
    if text.values.get("head_dim") is not None:
        head_dim = text.number("head_dim")
    elif width % heads:
        raise text.error("num_attention_heads", f"a divisor of hidden_size {width}")
    if head_dim % 2:
        raise text.error("head_dim", f"an even number (here {head_dim}), rotated in pairs")
    if heads % kv_heads:
        raise text.error("num_key_value_heads", f"a divisor of num_attention_heads {heads}")
    theta, scaling = _read_rope(text)
    attention_bias = kind == "llama" and text.flag("attention_bias")
    return DecoderConfig(
        vocab_size=text.number("vocab_size"),
        width=width,
        layers=text.number("num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        mlp_width=text.number("intermediate_size"),
        rope_theta=theta,
        norm_eps=text.number("rms_norm_eps", kind=float),
        tied=text.flag("tie_word_embeddings") if tied is None else tied,
        max_positions=text.number("max_position_embeddings"),
        activation=text.choice("hidden_act", ACTIVATIONS),
        qkv_bias=kind == "qwen2" or attention_bias,
        o_bias=attention_bias,
        mlp_bias=kind == "llama" and text.flag("mlp_bias"),
        rope_scaling=scaling,
        window=_read_window(text, kind),
    )


def _read_window(text: Section, kind: str) -> int | None:
    window = text.values.get("sliding_window")
    if kind == "llama" or window is None:
        return None
    if kind == "qwen2" and not text.flag("use_sliding_window"):
        return None
    layers = set(text.values.get("layer_types") or ["sliding_attention"])
    if layers == {"full_attention"}:
        return None
    if layers != {"sliding_attention"} or text.values.get("max_window_layers", 0) not in (0, None):
        raise text.error("layer_types", "one kind of attention in all layers")
    return text.number("sliding_window")


def _read_rope(text: Section) -> tuple[float, RopeScaling | None]:
    """Read theta and scaling.

    Transformers 5 stores them in ``rope_parameters``, 4 in ``rope_theta`` and ``rope_scaling``.
    """
    key = "rope_parameters" if text.values.get("rope_parameters") else "rope_scaling"
    rope = Section(text.path, f"{text.name}.{key}", text.values.get(key) or {}, {})
    theta = rope.number("rope_theta", text.number("rope_theta", 10_000.0, float), float)
    for section in (text, rope):
        if section.values.get("partial_rotary_factor") not in (None, 1):
            raise section.error("partial_rotary_factor", "1: rotation of whole heads")
    key = "rope_type" if "rope_type" in rope.values else "type"
    kind = rope.values.get(key, "default")
    if kind == "default":
        return float(theta), None
    if kind == "linear":
        return float(theta), RopeScaling("linear", rope.number("factor", kind=float))
    if kind == "llama3":
        scaling = RopeScaling(
            "llama3",
            rope.number("factor", kind=float),
            rope.number("low_freq_factor", kind=float),
            rope.number("high_freq_factor", kind=float),
            rope.number("original_max_position_embeddings"),
        )
        return float(theta), scaling
    raise rope.error(key, "default, linear or llama3")
