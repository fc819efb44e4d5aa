"""Read the decoder's section of a config.json."""

from collections.abc import Mapping

from mllm.checkpoints.hf_section import ACTIVATIONS, Section
from mllm.models import DecoderConfig
from mllm.ops.rope import RopeScaling

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


def read_decoder(text: Section, tied: bool | None, defaults: Mapping = {}) -> DecoderConfig:
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
    rope = Section(text.path, f"{text.name}.{key}".lstrip("."), text.values.get(key) or {}, {})
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
