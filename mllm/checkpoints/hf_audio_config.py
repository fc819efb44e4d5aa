"""Read and write ``config.json`` of Qwen2-Audio."""

from typing import Any

from mllm.checkpoints.hf_decoder_config import read_decoder
from mllm.checkpoints.hf_section import ACTIVATIONS, Section
from mllm.models import ListenerConfig
from mllm.models.encoders.whisper import WhisperConfig

AUDIO_ID = 151646  # where config.json names no audio_token_index
_NAMES = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
_ENCODER = {
    "model_type": "qwen2_audio_encoder",
    "num_mel_bins": 128,
    "encoder_layers": 32,
    "encoder_attention_heads": 20,
    "encoder_ffn_dim": 5120,
    "d_model": 1280,
    "activation_function": "gelu",
    "max_source_positions": 1500,
}


def read_listener(top: Section, dtype: str) -> ListenerConfig:
    """Return our configuration for a config.json.

    Raises:
      ValueError: the message names file, key, expected and found.
    """
    audio = top.part("audio_config", _ENCODER)
    audio.choice("model_type", {"qwen2_audio_encoder": None})
    text = top.part("text_config", {"model_type": "qwen2"})
    decoder = read_decoder(text, False)  # the head has a tensor of its own, whatever the file says
    return ListenerConfig(decoder, read_whisper(audio, pool=2), dtype=dtype)


def read_whisper(section: Section, pool: int) -> WhisperConfig:
    """Return the encoder of a section that has the keys of transformers' WhisperConfig."""
    width, heads = section.number("d_model"), section.number("encoder_attention_heads")
    if width % heads:
        raise section.error("encoder_attention_heads", f"a divisor of d_model {width}")
    return WhisperConfig(
        width=width,
        layers=section.number("encoder_layers"),
        heads=heads,
        mlp_width=section.number("encoder_ffn_dim"),
        bins=section.number("num_mel_bins"),
        positions=section.number("max_source_positions"),
        pool=pool,
        activation=section.choice("activation_function", ACTIVATIONS),
    )


def write_listener(config: ListenerConfig, audio_id: int) -> dict[str, Any]:
    """Return what config.json of a Qwen2-Audio says besides its text_config.

    Raises:
      ValueError: no Qwen2-Audio has this model's shape.
    """
    audio = config.audio
    if config.vision is not None or audio.kind != "whisper" or audio.pool != 2:
        raise ValueError(
            f"model config: audio encoder {audio}, vision {config.vision}: expected Whisper's "
            "encoder with a pool of 2 steps and no vision: no other model is a Qwen2-Audio"
        )
    if config.decoder.tied:
        raise ValueError("model config, decoder.tied: found True, expected False in a Qwen2-Audio")
    return {
        "architectures": ["Qwen2AudioForConditionalGeneration"],
        "model_type": "qwen2_audio",
        "audio_token_index": audio_id,
        "audio_config": {
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": audio.bins,
            "encoder_layers": audio.layers,
            "encoder_attention_heads": audio.heads,
            "encoder_ffn_dim": audio.mlp_width,
            "d_model": audio.width,
            "activation_function": _NAMES[audio.activation],
            "max_source_positions": audio.positions,
        },
    }
