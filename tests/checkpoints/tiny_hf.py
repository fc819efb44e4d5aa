"""Tiny random models of transformers, and the shapes that our trees have for them."""

import jax
import jax.numpy as jnp
import torch
from flax.traverse_util import unflatten_dict
from transformers import (
    CLIPVisionConfig,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    MistralConfig,
    Phi3Config,
    SiglipVisionConfig,
)

WIDTH, MLP, VOCABULARY, LAYERS, HEAD_DIM, KV = 16, 24, 64, 2, 8, 8
PATCH, GRID, VISION_LAYERS = 4, 3, 3
TEXT = dict(
    vocab_size=VOCABULARY,
    hidden_size=WIDTH,
    intermediate_size=MLP,
    num_hidden_layers=LAYERS,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=64,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
EYES = dict(
    hidden_size=WIDTH,
    intermediate_size=MLP,
    num_hidden_layers=VISION_LAYERS,
    num_attention_heads=2,
    image_size=PATCH * GRID,
    patch_size=PATCH,
)
KINDS = (
    "llava",
    "llava_siglip",
    "llava_phi3",
    "llava_next",
    "idefics2",
    "idefics2_phi3",
    "idefics3",
    "idefics3_tied",
)


def family_of(kind: str) -> str:
    """Our family of a kind."""
    return "llava_next" if kind == "llava_next" else kind.partition("_")[0]


def make(kind: str, dtype: torch.dtype = torch.float32):
    """A model of transformers whose weights, norms and biases too, are all random."""
    torch.manual_seed(0)
    if kind == "llava_next":
        config = LlavaNextConfig(
            vision_config=CLIPVisionConfig(**EYES),
            text_config=MistralConfig(**TEXT, sliding_window=None),
            image_token_index=3,
            image_grid_pinpoints=[[12, 24], [24, 12]],
        )
        model = LlavaNextForConditionalGeneration(config)
    elif kind.startswith("llava"):
        eyes = SiglipVisionConfig if kind == "llava_siglip" else CLIPVisionConfig
        config = LlavaConfig(
            vision_config=eyes(**EYES),
            text_config=(Phi3Config if kind == "llava_phi3" else LlamaConfig)(**TEXT),
            image_token_index=3,
            vision_feature_layer=-2,
            vision_feature_select_strategy="full" if kind == "llava_siglip" else "default",
        )
        model = LlavaForConditionalGeneration(config)
    elif kind.startswith("idefics2"):
        config = Idefics2Config(
            vision_config=EYES,
            text_config=dict(model_type="phi3" if kind == "idefics2_phi3" else "mistral", **TEXT),
            perceiver_config=dict(
                hidden_size=WIDTH,
                resampler_n_latents=5,
                resampler_depth=2,
                resampler_n_heads=2,
                resampler_head_dim=HEAD_DIM,
                num_key_value_heads=1,
            ),
            image_token_id=3,
        )
        model = Idefics2ForConditionalGeneration(config)
    else:
        tied = kind == "idefics3_tied"
        config = Idefics3Config(
            vision_config=EYES,
            text_config=dict(model_type="llama", **TEXT, tie_word_embeddings=tied),
            tie_word_embeddings=tied,
            scale_factor=3,
            image_token_id=3,
        )
        model = Idefics3ForConditionalGeneration(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.to(dtype).eval()


def wanted(kind: str) -> dict:
    """Our tree for ``make(kind)`` as ShapeDtypeStructs."""
    siglip = kind not in ("llava", "llava_phi3", "llava_next")
    vision_layers = VISION_LAYERS - kind.startswith("llava")
    shapes = {
        "decoder/embed": (VOCABULARY, WIDTH),
        "decoder/norm/scale": (WIDTH,),
        **_attention("decoder", LAYERS, KV),
        **_gated("decoder/layers", MLP, LAYERS),
        **{f"decoder/layers/{n}_norm/scale": (LAYERS, WIDTH) for n in ("attention", "mlp")},
        "vision/patch/w": (PATCH * PATCH * 3, WIDTH),
        "vision/position": (GRID * GRID + (not siglip), WIDTH),
        **_attention("vision", vision_layers, WIDTH, bias=True),
        "vision/layers/fc1/w": (vision_layers, WIDTH, MLP),
        "vision/layers/fc1/b": (vision_layers, MLP),
        "vision/layers/fc2/w": (vision_layers, MLP, WIDTH),
        "vision/layers/fc2/b": (vision_layers, WIDTH),
    }
    for norm in ("attention_norm", "mlp_norm"):
        for leaf in ("scale", "b"):
            shapes[f"vision/layers/{norm}/{leaf}"] = vision_layers, WIDTH
    if kind != "idefics3_tied":
        shapes["decoder/head"] = WIDTH, VOCABULARY
    if siglip:
        shapes["vision/patch/b"] = (WIDTH,)
    else:
        shapes |= {f"vision/{n}": (WIDTH,) for n in ("class_token", "pre_norm/scale", "pre_norm/b")}
    if kind == "llava_next":
        shapes["newline"] = (WIDTH,)
    if kind.startswith("llava"):
        for fc in ("fc1", "fc2"):
            shapes |= {f"projector/{fc}/w": (WIDTH, WIDTH), f"projector/{fc}/b": (WIDTH,)}
    else:
        shapes |= {f"vision/post_norm/{n}": (WIDTH,) for n in ("scale", "b")}
    if kind.startswith("idefics2"):
        norms = "latents", "context", "mlp"
        shapes |= {
            **_gated("connector", MLP),
            "resampler/latents": (5, WIDTH),
            "resampler/norm/scale": (WIDTH,),
            **_attention("resampler", 2, KV),
            **_gated("resampler/layers", 4 * WIDTH, 2),
            **{f"resampler/layers/{n}_norm/scale": (2, WIDTH) for n in norms},
        }
    elif kind.startswith("idefics3"):
        shapes["connector/w"] = WIDTH * 9, WIDTH
    leaves = {p: jax.ShapeDtypeStruct(shape, jnp.float32) for p, shape in shapes.items()}
    return unflatten_dict(leaves, sep="/")


def _attention(part: str, layers: int, kv: int, bias: bool = False) -> dict:
    shapes = {}
    for name, outputs in {"q": WIDTH, "k": kv, "v": kv, "o": WIDTH}.items():
        shapes[f"{part}/layers/{name}/w"] = layers, WIDTH, outputs
        if bias:
            shapes[f"{part}/layers/{name}/b"] = layers, outputs
    return shapes


def _gated(path: str, mlp: int, *layers: int) -> dict:
    return {
        f"{path}/gate/w": (*layers, WIDTH, mlp),
        f"{path}/up/w": (*layers, WIDTH, mlp),
        f"{path}/down/w": (*layers, mlp, WIDTH),
    }
