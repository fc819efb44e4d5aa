"""What a network is: modules that declare parameters, and pure functions of (config, variables,
batch).
"""

from dataclasses import asdict, fields

from mllm.models import idefics2, idefics3, interleaved, llava, llava_next
from mllm.models.decoder import DecoderConfig
from mllm.models.idefics2 import ConnectorConfig, Idefics2Config
from mllm.models.idefics3 import Idefics3Config
from mllm.models.interleaved import InterleavedConfig
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
}
CONFIGS = {
    "llava": LlavaConfig,
    "llava_next": LlavaNextConfig,
    "idefics2": Idefics2Config,
    "idefics3": Idefics3Config,
    "interleaved": InterleavedConfig,
}
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
    values = {
        k: _build(_PARTS[k], v, f"{where}, {k}")
        if k in _PARTS and v is not None
        else (tuple(v) if isinstance(v, (list, tuple)) else v)
        for k, v in dict(values).items()
    }
    unknown = set(values) - {f.name for f in fields(kind)}
    if unknown:
        raise ValueError(
            f"{where}: unknown keys {sorted(unknown)}, {kind.__name__} has none of them"
        )
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None
