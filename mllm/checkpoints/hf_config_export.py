"""Write ``config.json`` for a model that did not come from a Hugging Face folder: a LLaVA,
LLaVA-NeXT or Qwen2-Audio.

It uses the names that transformers 4 and 5 both read.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from mllm.checkpoints.hf_audio_config import write_listener
from mllm.checkpoints.hf_section import ACTIVATIONS
from mllm.checkpoints.loaded import Loaded
from mllm.data.processor import Processor
from mllm.models import DecoderConfig, ListenerConfig, LlavaConfig, LlavaNextConfig, VisionConfig

_NAMES = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
_POST_NORM = "vision_tower.vision_model.post_layernorm"


def write_config(loaded: Loaded, dtype: str | None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return (config.json, tensors that transformers expects although our model does not use them).

    Raises:
      ValueError: no Hugging Face LLaVA has this model's shape; the message says what differs.
    """
    config = loaded.config
    kind = str(jnp.dtype(dtype or loaded.variables["params"]["decoder"]["embed"].dtype))
    if isinstance(config, ListenerConfig):
        ids = _end_ids(loaded.processor)
        text = {**_text_config(config.decoder), **ids, "torch_dtype": kind}
        raw = write_listener(config, loaded.processor.audio_id)
        return {**raw, "torch_dtype": kind, "text_config": text, **ids}, {}
    if not isinstance(config, LlavaConfig | LlavaNextConfig):
        raise ValueError(
            f"family {loaded.family!r}: only a model that came from a Hugging Face folder, or a "
            "LLaVA, LLaVA-NeXT or listener, can be exported to one"
        )
    _require_exportable(config)
    processor, vision, decoder = loaded.processor, config.vision, config.decoder
    ids = _end_ids(processor)
    named = {"architectures": ["LlavaForConditionalGeneration"], "model_type": "llava"}
    if isinstance(config, LlavaNextConfig):
        side = vision.image_size
        named = {"architectures": ["LlavaNextForConditionalGeneration"], "model_type": "llava_next"}
        named["image_grid_pinpoints"] = [[rows * side, n * side] for rows, n in config.grids]
    raw = {
        **named,
        "torch_dtype": kind,
        "image_token_index": processor.image_id,
        "image_seq_length": vision.tokens,
        "projector_hidden_act": _NAMES[config.projector.activation],
        "multimodal_projector_bias": config.projector.bias,
        "vision_feature_layer": list(vision.outputs) or -1,
        "vision_feature_select_strategy": "default" if vision.drop_first else "full",
        "tie_word_embeddings": decoder.tied,
        "text_config": {**_text_config(decoder), **ids, "torch_dtype": kind},
        "vision_config": {**_vision_config(vision), "torch_dtype": kind},
        **ids,
    }
    norm = {
        f"{_POST_NORM}.weight": np.ones(vision.width, jnp.dtype(kind)),
        f"{_POST_NORM}.bias": np.zeros(vision.width, jnp.dtype(kind)),
    }
    return raw, norm


def _end_ids(processor: Processor) -> dict[str, Any]:
    """Return the ids of the tokens that begin, end and fill rows."""
    ends = processor.end_ids
    ids = {"eos_token_id": ends[0] if len(ends) == 1 else list(ends)}
    ids["pad_token_id"] = processor.pad_id
    if processor.config.bos is not None:
        ids["bos_token_id"] = processor.token_id(processor.config.bos)
    return ids


def _require_exportable(config: LlavaConfig | LlavaNextConfig) -> None:
    vision, projector, decoder = config.vision, config.projector, config.decoder
    if vision is None:
        raise ValueError("a text-only model: expected a vision tower to export it as a LLaVA")
    clip = vision.class_token and vision.pre_norm
    plain = not (vision.patch_bias or vision.layer_scale or vision.post_norm or vision.ragged)
    faults = {
        "projector.pool": (projector.pool, projector.pool == 1, "1"),
        "projector.mlp_width": (
            projector.mlp_width,
            projector.mlp_width == decoder.width,
            f"the decoder's width {decoder.width}",
        ),
        "vision": (vision, clip and plain, "a tower in CLIP's layout"),
    }
    for key, (found, fits, expected) in faults.items():
        if not fits:
            raise ValueError(
                f"model config, {key}: found {found}, expected {expected}: no Hugging Face LLaVA "
                "has this shape"
            )


def _text_config(decoder: DecoderConfig) -> dict[str, Any]:
    if decoder.window is not None:
        kind = {"model_type": "mistral", "sliding_window": decoder.window}
    elif decoder.qkv_bias and not decoder.o_bias:
        kind = {"model_type": "qwen2", "use_sliding_window": False}
    else:
        biases = {"attention_bias": decoder.qkv_bias, "mlp_bias": decoder.mlp_bias}
        kind = {"model_type": "llama", **biases}
    names = {"mistral": "Mistral", "qwen2": "Qwen2", "llama": "Llama"}
    return {
        **kind,
        "architectures": [f"{names[kind['model_type']]}ForCausalLM"],
        "vocab_size": decoder.vocab_size,
        "hidden_size": decoder.width,
        "intermediate_size": decoder.mlp_width,
        "num_hidden_layers": decoder.layers,
        "num_attention_heads": decoder.heads,
        "num_key_value_heads": decoder.kv_heads,
        "head_dim": decoder.head_dim,
        "hidden_act": _NAMES[decoder.activation],
        "max_position_embeddings": decoder.max_positions,
        "rms_norm_eps": decoder.norm_eps,
        "rope_theta": decoder.rope_theta,
        "rope_scaling": _rope_scaling(decoder),
        "tie_word_embeddings": decoder.tied,
    }


def _rope_scaling(decoder: DecoderConfig) -> dict[str, Any] | None:
    scaling = decoder.rope_scaling
    if scaling is None:
        return None
    if scaling.kind == "linear":
        return {"rope_type": "linear", "factor": scaling.factor}
    return {
        "rope_type": scaling.kind,
        "factor": scaling.factor,
        "low_freq_factor": scaling.low,
        "high_freq_factor": scaling.high,
        "original_max_position_embeddings": scaling.original,
    }


def _vision_config(vision: VisionConfig) -> dict[str, Any]:
    return {
        "model_type": "clip_vision_model",
        "hidden_size": vision.width,
        "intermediate_size": vision.mlp_width,
        "projection_dim": vision.width,
        "num_hidden_layers": vision.layers,
        "num_attention_heads": vision.heads,
        "image_size": vision.image_size,
        "patch_size": vision.patch_size,
        "hidden_act": _NAMES[vision.activation],
        "layer_norm_eps": vision.norm_eps,
    }
