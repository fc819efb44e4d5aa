"""What a network is: modules that declare parameters, and pure functions of (config, variables,
batch).
"""

from collections.abc import Mapping
from dataclasses import asdict, fields

from mllm.models import fused, idefics2, idefics3, interleaved, listener, llava, llava_next
from mllm.models.decoder import DecoderConfig
from mllm.models.encoders import ENCODERS
from mllm.models.encoders.audio_vit import AudioVitConfig
from mllm.models.encoders.bank import BankConfig, EncoderConfig
from mllm.models.encoders.whisper import WhisperConfig
from mllm.models.fused import FUSIONS, FusedConfig
from mllm.models.idefics2 import ConnectorConfig, Idefics2Config
from mllm.models.idefics3 import Idefics3Config
from mllm.models.interleaved import InterleavedConfig
from mllm.models.listener import ListenerConfig
from mllm.models.llava import LlavaConfig
from mllm.models.llava_next import LlavaNextConfig
from mllm.models.perceiver import ResamplerConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig
from mllm.models.vq import VQConfig
from mllm.ops.rope import RopeScaling
from mllm.registry import lookup

MODELS = {
    "llava": llava,
    "llava_next": llava_next,
    "idefics2": idefics2,
    "idefics3": idefics3,
    "interleaved": interleaved,
    "fused": fused,
    "listener": listener,
}
CONFIGS = {
    "llava": LlavaConfig,
    "llava_next": LlavaNextConfig,
    "idefics2": Idefics2Config,
    "idefics3": Idefics3Config,
    "interleaved": InterleavedConfig,
    "fused": FusedConfig,
    "listener": ListenerConfig,
}
HEARING = {"whisper": WhisperConfig, "audio_vit": AudioVitConfig}
_PARTS = {
    "decoder": DecoderConfig,
    "codec": VQConfig,
    "vision": VisionConfig,
    "projector": ProjectorConfig,
    "connector": ConnectorConfig,
    "resampler": ResamplerConfig,
    "rope_scaling": RopeScaling,
}


def config_to_dict(family: str, config) -> dict:
    """Return a model configuration as plain JSON values, with its family."""
    return {"family": family, **asdict(config)}


def config_from_dict(values: dict, where: str = "model config"):
    """Return (family, config), the inverse of ``config_to_dict``.

    Raises:
      ValueError: an unknown family, or a missing or unknown key; the message says ``where`` it was
        read.
    """
    values = dict(values)
    family = values.pop("family", None)
    kind = lookup(CONFIGS, family, f"model family in {where}")
    return family, _build(kind, values, where)


def _build(kind, values: dict, where: str):
    values = {key: _value(kind, key, value, values, where) for key, value in dict(values).items()}
    unknown = set(values) - {f.name for f in fields(kind)}
    if unknown:
        raise ValueError(
            f"{where}: unknown keys {sorted(unknown)}, {kind.__name__} has none of them"
        )
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _value(kind, key: str, value, beside: dict, where: str):
    """Return one value of a config of type ``kind``; ``beside`` holds all of its values."""
    if kind is BankConfig and key == "encoders":
        if isinstance(value, Mapping):  # by name, so that a command line can set each
            value = [{"name": name, **encoder} for name, encoder in value.items()]
        return tuple(_build(EncoderConfig, one, f"{where}, encoders") for one in value)
    part = _part(kind, key, value, beside, where)
    if part is not None and value is not None:
        return _build(part, value, f"{where}, {key}")
    return tuple(value) if isinstance(value, list) else value


def _part(kind, key: str, value, beside: dict, where: str):
    """Return the type of the config that a key holds; None if it holds plain values."""
    if kind is FusedConfig and key == "vision":
        return BankConfig
    if kind is FusedConfig and key == "fusion":
        return lookup(FUSIONS, value.get("kind", "guided"), f"kind of fusion in {where}")
    if kind is ListenerConfig and key == "audio":
        return lookup(HEARING, value.get("kind", "whisper"), f"kind of audio encoder in {where}")
    if kind is EncoderConfig and key == "tower":
        name = beside.get("name")
        return lookup(
            ENCODERS, beside.get("kind"), f"kind of the encoder {name!r} in {where}"
        ).config
    return _PARTS.get(key)
