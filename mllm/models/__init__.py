"""What a network is: modules that declare parameters, and pure functions of (config, variables,
batch).
"""

from dataclasses import asdict, fields

from mllm.models import llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig
from mllm.registry import lookup

MODELS = {"llava": llava}
CONFIGS = {"llava": LlavaConfig}
_PARTS = {"decoder": DecoderConfig, "vision": VisionConfig, "projector": ProjectorConfig}


def config_to_dict(family: str, config) -> dict:
    """A model configuration as plain JSON values, with its family."""
    return {"family": family, **asdict(config)}


def config_from_dict(values: dict, where: str = "model config"):
    """The inverse of ``config_to_dict``: (family, config).

    Raises:
      ValueError: an unknown family, or a key that is missing or unknown, named with ``where`` it
        was read.
    """
    values = dict(values)
    family = values.pop("family", None)
    kind = lookup(CONFIGS, family, f"model family in {where}")
    parts = {
        name: None if values[name] is None else _build(part, values[name], f"{where}, {name}")
        for name, part in _PARTS.items()
        if name in values
    }
    return family, _build(kind, {**values, **parts}, where)


def _build(kind, values: dict, where: str):
    values = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in dict(values).items()}
    unknown = set(values) - {f.name for f in fields(kind)}
    if unknown:
        raise ValueError(
            f"{where}: unknown keys {sorted(unknown)}, {kind.__name__} has none of them"
        )
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None
