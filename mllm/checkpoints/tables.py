"""The tables that map tensors of Hugging Face folders to leaves of our trees.

A family is a tuple of parts. A part has several possible prefixes, because versions of transformers
renamed modules; the names after the prefix never changed. The first prefix is that of the published
files, which every version reads; it is the one that is written.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

# Name with {} for the layer -> (path in our tree, layout). A path such as {q,k,v}/w names several
# leaves, whose rows follow each other in the stored tensor.
Weights = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Part:
    """Modules that files keep under one prefix.

    Attributes:
      path: path of the part in our tree, "" for its top.
      prefixes: possible prefixes of the names; the first is written.
      weights: name after the prefix -> (path below ``path``, key of ``LAYOUTS``). If the model has
        no leaf for a name, the files must not hold the tensor.
      carried: regular expression of names that the model may have no leaf for; such tensors are
        kept and exported again.
      spare_layers: whether layers after the model's last one are carried in the same way.
      tied_to: path of the leaf that the part repeats if the model has no leaf for it.
    """

    path: str
    prefixes: tuple[str, ...]
    weights: Weights
    carried: str | None = None
    spare_layers: bool = False
    tied_to: str | None = None

    def find(self, name: str) -> tuple[str, ...]:
        """Return the paths in the whole tree for a name without its prefix, () if unknown."""
        pattern = re.sub(r"(?<=\.)(0|[1-9]\d*)(?=\.)", "{}", name, count=1)
        if pattern not in self.weights:
            return ()
        path = f"{self.path}/{self.weights[pattern][0]}".removeprefix("/")
        before, _, rest = path.partition("{")
        names, _, after = rest.partition("}")
        return tuple(f"{before}{name}{after}" for name in names.split(","))

    def carries(self, name: str) -> bool:
        """Return whether a tensor without a leaf is kept and exported again."""
        return self.carried is not None and re.fullmatch(self.carried, name) is not None


Table = tuple[Part, ...]


@dataclass(frozen=True)
class Layout:
    """How a leaf, or one layer of it, relates to the stored tensor.

    Attributes:
      stored_shape: our shape -> the stored shape.
      stored_index: our index, one slice per axis -> the index of the stored values that contain it.
      ours: (stored values, our index) -> values in our layout.
      stored: values in our layout -> values in the stored layout.
    """

    stored_shape: Callable[[tuple[int, ...]], tuple[int, ...]]
    stored_index: Callable[[tuple[slice, ...]], tuple[slice, ...]]
    ours: Callable[[np.ndarray, tuple[slice, ...]], np.ndarray]
    stored: Callable[[np.ndarray], np.ndarray]


def _kernel_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    side = math.isqrt(shape[0] // 3)
    return shape[1], 3, side, side


def _transpose(values: np.ndarray) -> np.ndarray:
    """Copy the transpose in strips that fit the processor's cache, which is five times as fast."""
    copy = np.empty(values.shape[::-1], values.dtype)
    for row in range(0, len(values), 16):
        copy[:, row : row + 16] = values[row : row + 16].T
    return copy


def _convolution(side: int) -> Layout:
    """Return the layout of our matrix [s * s * I, O] that is a convolution [O, I, s, s]."""
    return Layout(
        lambda s: (s[1], s[0] // side**2, side, side),
        lambda i: (i[1],),
        lambda x, i: x.transpose(2, 3, 1, 0).reshape(-1, len(x))[i[0]],
        lambda x: x.T.reshape(x.shape[1], side, side, -1).transpose(0, 3, 1, 2),
    )


LAYOUTS = {
    "same": Layout(lambda s: s, lambda i: i, lambda x, i: x, lambda x: x),
    "transposed": Layout(
        lambda s: s[::-1], lambda i: i[::-1], lambda x, i: _transpose(x), _transpose
    ),
    # Our matrix [p * p * 3, D] is a convolution over patches [D, 3, p, p].
    "patch": Layout(
        _kernel_shape,
        lambda i: (i[1],),
        lambda x, i: x.transpose(2, 3, 1, 0).reshape(-1, len(x))[i[0]],
        lambda x: x.T.reshape(x.shape[1], *_kernel_shape(x.shape)[2:], 3).transpose(0, 3, 1, 2),
    ),
    "1x1": _convolution(1),
    "3x3": _convolution(3),
    "row": Layout(  # [1, ...]
        lambda s: (1, *s), lambda i: (slice(0, 1), *i), lambda x, i: x[0], lambda x: x[None]
    ),
    "cell": Layout(  # [1, 1, ...]
        lambda s: (1, 1, *s),
        lambda i: (slice(0, 1), slice(0, 1), *i),
        lambda x, i: x[0, 0],
        lambda x: x[None, None],
    ),
}


def _linear(name: str, path: str) -> Weights:
    return {f"{name}.weight": (f"{path}/w", "transposed"), f"{name}.bias": (f"{path}/b", "same")}


def _norm(name: str, path: str) -> Weights:
    return {f"{name}.weight": (f"{path}/scale", "same"), f"{name}.bias": (f"{path}/b", "same")}


_GATED_MLP = {
    **_linear("mlp.gate_proj", "gate"),
    **_linear("mlp.up_proj", "up"),
    **_linear("mlp.down_proj", "down"),
}
_ATTENTION = {
    **_linear("self_attn.q_proj", "q"),
    **_linear("self_attn.k_proj", "k"),
    **_linear("self_attn.v_proj", "v"),
}


def _layers(name: str, weights: Weights) -> Weights:
    return {
        f"{name}.{{}}.{below}": (f"layers/{path}", layout)
        for below, (path, layout) in weights.items()
    }


def _decoder(attention: Weights, mlp: Weights) -> Weights:
    layer = {
        **_norm("input_layernorm", "attention_norm"),
        **attention,
        **_linear("self_attn.o_proj", "o"),
        **_norm("post_attention_layernorm", "mlp_norm"),
        **mlp,
    }
    return {
        "embed_tokens.weight": ("embed", "same"),
        **_layers("layers", layer),
        **_norm("norm", "norm"),
    }


DECODER = _decoder(_ATTENTION, _GATED_MLP)  # Llama, Mistral, Qwen2
FUSED_DECODERS = {
    "phi3": _decoder(
        _linear("self_attn.qkv_proj", "{q,k,v}"),
        {**_linear("mlp.gate_up_proj", "{gate,up}"), **_linear("mlp.down_proj", "down")},
    ),
}
HEAD = {"weight": ("head", "transposed")}
# A layer of CLIP's towers and of SigLIP's.
_ENCODER = _layers(
    "encoder.layers",
    {
        **_norm("layer_norm1", "attention_norm"),
        **_ATTENTION,
        **_linear("self_attn.out_proj", "o"),
        **_norm("layer_norm2", "mlp_norm"),
        **_linear("mlp.fc1", "fc1"),
        **_linear("mlp.fc2", "fc2"),
    },
)
# CLIP and SigLIP: only CLIP has a class token and a first norm, only SigLIP has a patch bias.
VISION = {
    "embeddings.class_embedding": ("class_token", "same"),
    "embeddings.patch_embedding.weight": ("patch/w", "patch"),
    "embeddings.patch_embedding.bias": ("patch/b", "same"),
    "embeddings.position_embedding.weight": ("position", "same"),
    **_norm("pre_layrnorm", "pre_norm"),  # the spelling of the files
    **_ENCODER,
    **_norm("post_layernorm", "post_norm"),
}
TEXT = {
    "embeddings.token_embedding.weight": ("embed", "same"),
    "embeddings.position_embedding.weight": ("position", "same"),
    **_ENCODER,
    **_norm("final_layer_norm", "norm"),
}
PROJECTOR = {**_linear("linear_1", "fc1"), **_linear("linear_2", "fc2")}
RESAMPLER = {
    "latents": ("latents", "same"),
    **_layers(
        "layers",
        {
            **_norm("input_latents_norm", "latents_norm"),
            **_norm("input_context_norm", "context_norm"),
            **_ATTENTION,
            **_linear("self_attn.o_proj", "o"),
            **_norm("post_attention_layernorm", "mlp_norm"),
            **_GATED_MLP,
        },
    ),
    **_norm("norm", "norm"),
}
GATED_CONNECTOR = {
    **_linear("gate_proj", "gate"),
    **_linear("up_proj", "up"),
    **_linear("down_proj", "down"),
}

# Pooling after the last layer, which these families never compute: they use the patches.
_POOLING = r"post_layernorm\..+|head\..+"
_LLAVA = (
    Part("decoder", ("language_model.model.", "model.language_model."), DECODER),
    Part("decoder", ("language_model.lm_head.", "lm_head."), HEAD, tied_to="decoder/embed"),
    Part(
        "vision",
        (
            "vision_tower.vision_model.",
            "vision_tower.",
            "model.vision_tower.vision_model.",
            "model.vision_tower.",
        ),
        VISION,
        carried=_POOLING,
        spare_layers=True,
    ),
    Part("projector", ("multi_modal_projector.", "model.multi_modal_projector."), PROJECTOR),
)
_IDEFICS = (
    Part("decoder", ("model.text_model.",), DECODER),
    Part("decoder", ("lm_head.",), HEAD, tied_to="decoder/embed"),
    Part("vision", ("model.vision_model.",), VISION, carried=_POOLING),
)
TABLES: dict[str, Table] = {
    "llava": _LLAVA,
    "llava_next": (*_LLAVA, Part("", ("", "model."), {"image_newline": ("newline", "same")})),
    "idefics2": (
        *_IDEFICS,
        Part("connector", ("model.connector.modality_projection.",), GATED_CONNECTOR),
        Part("resampler", ("model.connector.perceiver_resampler.",), RESAMPLER),
    ),
    "idefics3": (
        *_IDEFICS,
        Part(
            "connector",
            ("model.connector.modality_projection.",),
            {"proj.weight": ("w", "transposed")},
        ),
    ),
}
# Not in TABLES, which are of models that write text.
CLIP: Table = (
    Part("vision", ("vision_model.",), VISION),
    Part("text", ("text_model.",), TEXT),
    Part(
        "",
        ("",),
        {
            "visual_projection.weight": ("vision_projection/w", "transposed"),
            "text_projection.weight": ("text_projection/w", "transposed"),
        },
        carried="logit_scale",
    ),
)
_TOWER = (Part("", ("vision_model.", ""), VISION),)
_LINEAR_TOWER = (
    Part(
        "",
        ("vision_model.", ""),
        {**VISION, "embeddings.patch_embedding.weight": ("patch/w", "transposed")},
    ),
)
_DINOV2 = (
    Part(
        "",
        ("", "dinov2.", "dinov2_with_registers."),
        {
            "embeddings.cls_token": ("class_token", "cell"),
            "embeddings.register_tokens": ("registers", "row"),
            "embeddings.position_embeddings": ("position", "row"),
            "embeddings.patch_embeddings.projection.weight": ("patch/w", "patch"),
            "embeddings.patch_embeddings.projection.bias": ("patch/b", "same"),
            **_layers(
                "encoder.layer",
                {
                    **_norm("norm1", "attention_norm"),
                    **_linear("attention.attention.query", "q"),
                    **_linear("attention.attention.key", "k"),
                    **_linear("attention.attention.value", "v"),
                    **_linear("attention.output.dense", "o"),
                    "layer_scale1.lambda1": ("attention_scale/scale", "same"),
                    **_norm("norm2", "mlp_norm"),
                    **_linear("mlp.fc1", "fc1"),
                    **_linear("mlp.fc2", "fc2"),
                    "mlp.weights_in.weight": ("{gate,up}/w", "transposed"),
                    "mlp.weights_in.bias": ("{gate,up}/b", "same"),
                    **_linear("mlp.weights_out", "down"),
                    "layer_scale2.lambda1": ("mlp_scale/scale", "same"),
                },
            ),
            **_norm("layernorm", "post_norm"),
        },
    ),
)
_SAM = (
    Part(
        "",
        ("vision_encoder.", ""),
        {
            "pos_embed": ("position", "row"),
            "patch_embed.projection.weight": ("patch/w", "patch"),
            "patch_embed.projection.bias": ("patch/b", "same"),
            **_layers(
                "layers",
                {
                    **_norm("layer_norm1", "attention_norm"),
                    "attn.qkv.weight": ("{q,k,v}/w", "transposed"),
                    "attn.qkv.bias": ("{q,k,v}/b", "same"),
                    **_linear("attn.proj", "o"),
                    **_norm("layer_norm2", "mlp_norm"),
                    **_linear("mlp.lin1", "fc1"),
                    **_linear("mlp.lin2", "fc2"),
                },
            ),
            "neck.conv1.weight": ("neck/project/w", "1x1"),
            **_norm("neck.layer_norm1", "neck/project_norm"),
            "neck.conv2.weight": ("neck/mix/w", "3x3"),
            **_norm("neck.layer_norm2", "neck/mix_norm"),
        },
    ),
)
# Towers alone, by the ``model_type`` of their configuration.
TOWERS: dict[str, Table] = {
    "clip_vision_model": _TOWER,
    "siglip_vision_model": _TOWER,
    "siglip2_vision_model": _LINEAR_TOWER,
    "dinov2": _DINOV2,
    "dinov2_with_registers": _DINOV2,
    "sam_vision_model": _SAM,
}
# Buffers that older versions stored and that follow from the configuration.
IGNORED = re.compile(r"(^|\.)(position_ids|rotary_emb\.inv_freq)$")


def table_of(family: str, text_kind: str | None = None) -> Table:
    """Return the table of a family.

    Args:
      text_kind: ``text_config.model_type`` of config.json; None means the family's own decoder.

    Raises:
      ValueError: Hugging Face has no models of the family.
    """
    if family not in TABLES:
        raise ValueError(
            f"family {family!r} has no format of Hugging Face (those with one: "
            f"{', '.join(sorted(TABLES))}); save it in ours, 'orbax'"
        )
    weights = FUSED_DECODERS.get(text_kind, DECODER)
    return tuple(
        replace(part, weights=weights) if part.weights is DECODER else part
        for part in TABLES[family]
    )
