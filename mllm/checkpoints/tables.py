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
    # Our matrix [3 * I, O] is a convolution [O, I, 3] over three steps.
    "steps": Layout(
        lambda s: (s[1], s[0] // 3, 3),
        lambda i: (i[1],),
        lambda x, i: x.transpose(2, 1, 0).reshape(-1, len(x))[i[0]],
        lambda x: x.T.reshape(x.shape[1], 3, -1).transpose(0, 2, 1),
    ),
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


def linear(name: str, path: str) -> Weights:
    return {f"{name}.weight": (f"{path}/w", "transposed"), f"{name}.bias": (f"{path}/b", "same")}


def norm(name: str, path: str) -> Weights:
    return {f"{name}.weight": (f"{path}/scale", "same"), f"{name}.bias": (f"{path}/b", "same")}


_GATED_MLP = {
    **linear("mlp.gate_proj", "gate"),
    **linear("mlp.up_proj", "up"),
    **linear("mlp.down_proj", "down"),
}
_ATTENTION = {
    **linear("self_attn.q_proj", "q"),
    **linear("self_attn.k_proj", "k"),
    **linear("self_attn.v_proj", "v"),
}


def layers(name: str, weights: Weights) -> Weights:
    return {
        f"{name}.{{}}.{below}": (f"layers/{path}", layout)
        for below, (path, layout) in weights.items()
    }


def _decoder(attention: Weights, mlp: Weights) -> Weights:
    layer = {
        **norm("input_layernorm", "attention_norm"),
        **attention,
        **linear("self_attn.o_proj", "o"),
        **norm("post_attention_layernorm", "mlp_norm"),
        **mlp,
    }
    return {
        "embed_tokens.weight": ("embed", "same"),
        **layers("layers", layer),
        **norm("norm", "norm"),
    }


DECODER = _decoder(_ATTENTION, _GATED_MLP)  # Llama, Mistral, Qwen2
FUSED_DECODERS = {
    "phi3": _decoder(
        linear("self_attn.qkv_proj", "{q,k,v}"),
        {**linear("mlp.gate_up_proj", "{gate,up}"), **linear("mlp.down_proj", "down")},
    ),
}
HEAD = {"weight": ("head", "transposed")}
# A layer of CLIP's towers and of SigLIP's.
_ENCODER = layers(
    "encoder.layers",
    {
        **norm("layer_norm1", "attention_norm"),
        **_ATTENTION,
        **linear("self_attn.out_proj", "o"),
        **norm("layer_norm2", "mlp_norm"),
        **linear("mlp.fc1", "fc1"),
        **linear("mlp.fc2", "fc2"),
    },
)
# CLIP and SigLIP: only CLIP has a class token and a first norm, only SigLIP has a patch bias.
VISION = {
    "embeddings.class_embedding": ("class_token", "same"),
    "embeddings.patch_embedding.weight": ("patch/w", "patch"),
    "embeddings.patch_embedding.bias": ("patch/b", "same"),
    "embeddings.position_embedding.weight": ("position", "same"),
    **norm("pre_layrnorm", "pre_norm"),  # the spelling of the files
    **_ENCODER,
    **norm("post_layernorm", "post_norm"),
}
TEXT = {
    "embeddings.token_embedding.weight": ("embed", "same"),
    "embeddings.position_embedding.weight": ("position", "same"),
    **_ENCODER,
    **norm("final_layer_norm", "norm"),
}
PROJECTOR = {**linear("linear_1", "fc1"), **linear("linear_2", "fc2")}
RESAMPLER = {
    "latents": ("latents", "same"),
    **layers(
        "layers",
        {
            **norm("input_latents_norm", "latents_norm"),
            **norm("input_context_norm", "context_norm"),
            **_ATTENTION,
            **linear("self_attn.o_proj", "o"),
            **norm("post_attention_layernorm", "mlp_norm"),
            **_GATED_MLP,
        },
    ),
    **norm("norm", "norm"),
}
# Whisper's encoder and that of Qwen2-Audio.
WHISPER = {
    "conv1.weight": ("conv1/w", "steps"),
    "conv1.bias": ("conv1/b", "same"),
    "conv2.weight": ("conv2/w", "steps"),
    "conv2.bias": ("conv2/b", "same"),
    "embed_positions.weight": ("position", "same"),
    **layers(
        "layers",
        {
            **norm("self_attn_layer_norm", "attention_norm"),
            **_ATTENTION,
            **linear("self_attn.out_proj", "o"),
            **norm("final_layer_norm", "mlp_norm"),
            **linear("fc1", "fc1"),
            **linear("fc2", "fc2"),
        },
    ),
    **norm("layer_norm", "post_norm"),
}
GATED_CONNECTOR = {
    **linear("gate_proj", "gate"),
    **linear("up_proj", "up"),
    **linear("down_proj", "down"),
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
    "listener": (
        Part("decoder", ("language_model.model.", "model.language_model."), DECODER),
        Part("decoder", ("language_model.lm_head.", "lm_head."), HEAD),
        Part("audio", ("audio_tower.", "model.audio_tower."), WHISPER),
        Part(
            "audio_projector",
            ("multi_modal_projector.linear.", "model.multi_modal_projector.linear."),
            {"weight": ("w", "transposed"), "bias": ("b", "same")},
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
_TEXT: Table = (
    Part("decoder", ("model.",), DECODER),
    Part("decoder", ("lm_head.",), HEAD, tied_to="decoder/embed"),
)
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
    return _with_decoder(TABLES[family], text_kind)


def text_table(kind: str | None) -> Table:
    """Return the table of a model of text by its ``model_type``."""
    return _with_decoder(_TEXT, kind)


def _with_decoder(table: Table, kind: str | None) -> Table:
    weights = FUSED_DECODERS.get(kind, DECODER)
    return tuple(
        replace(part, weights=weights) if part.weights is DECODER else part for part in table
    )
