"""Read a text model of the Llama family from a GGUF file: weights, config, tokenizer, template.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Matrices are stored
[out, in], often quantised.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, ReaderTensor
from gguf.quants import dequantize
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from mllm.files import require_file
from mllm.models import llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig

# Stored name -> (path in our decoder tree, layout). {} is the layer, axis 0 of our leaf.
_TENSORS = {
    "token_embd.weight": ("embed", "same"),
    "output_norm.weight": ("norm/scale", "same"),
    "output.weight": ("head", "transposed"),
    "blk.{}.attn_norm.weight": ("layers/attention_norm/scale", "same"),
    "blk.{}.attn_q.weight": ("layers/q/w", "query"),
    "blk.{}.attn_k.weight": ("layers/k/w", "key"),
    "blk.{}.attn_v.weight": ("layers/v/w", "transposed"),
    "blk.{}.attn_output.weight": ("layers/o/w", "transposed"),
    "blk.{}.ffn_norm.weight": ("layers/mlp_norm/scale", "same"),
    "blk.{}.ffn_gate.weight": ("layers/gate/w", "transposed"),
    "blk.{}.ffn_up.weight": ("layers/up/w", "transposed"),
    "blk.{}.ffn_down.weight": ("layers/down/w", "transposed"),
}
# Name of a byte-level pre-tokenizer -> whether every digit is a piece of its own.
_SPLITS_DIGITS = {"gpt-2": False, "smollm": True}
_CONTROL, _USER_DEFINED = 3, 4  # values of tokenizer.ggml.token_type
_REQUIRED = object()


@dataclass(frozen=True)
class GGUFModel:
    """The content of a GGUF file.

    Attributes:
      config: a text-only model.
      variables: {"params": {"decoder": ...}} in float32, the tree of ``llava.abstract(config)``.
      tokenizer: adds no token, unless the file says that text starts with ``bos_id``.
      chat_template: Jinja source, or None.
      bos_id, eos_id, pad_id: token ids, None if the file names none.
      more_ends: ids of the other tokens that end a turn or a message.
    """

    config: LlavaConfig
    variables: dict[str, dict]
    tokenizer: Tokenizer
    chat_template: str | None
    bos_id: int | None
    eos_id: int | None
    pad_id: int | None
    more_ends: tuple[int, ...] = ()


def read_gguf(path: str | PathLike) -> GGUFModel:
    """Read a GGUF file of architecture ``llama`` with a byte-level BPE tokenizer.

    Raises:
      FileNotFoundError: the file does not exist.
      ValueError: the file is not a complete GGUF file or is of another kind, or a key or tensor is
        missing, unexpected or misshapen; the message names file, key, expected and found.
    """
    path = Path(path)
    reader = _open(path)
    metadata = _Metadata(path, reader)
    metadata.expect("general.architecture", str, {"llama"})
    tensors = {t.name: t for t in reader.tensors}
    tokens = metadata.read("tokenizer.ggml.tokens", list)
    tied = "output.weight" not in tensors
    config = LlavaConfig(_decoder_config(metadata, len(tokens), tied))
    bos_id, eos_id, pad_id = (
        metadata.read(f"tokenizer.ggml.{name}_token_id", int, None)
        for name in ("bos", "eos", "padding")
    )
    ends = (metadata.read(f"tokenizer.ggml.{name}_token_id", int, None) for name in ("eot", "eom"))
    return GGUFModel(
        config=config,
        variables={"params": {"decoder": _read_decoder(path, config, tensors)}},
        tokenizer=_build_tokenizer(metadata, tokens, bos_id),
        chat_template=metadata.read("tokenizer.chat_template", str, None),
        bos_id=bos_id,
        eos_id=eos_id,
        pad_id=pad_id,
        more_ends=tuple(index for index in ends if index is not None),
    )


def interleaved_to_half_split(rows: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the rows of a query or key matrix float[heads * C, in] for our rotary positions.

    llama.cpp rotates dimensions (2i, 2i + 1) together; we rotate (i, i + C / 2).
    """
    pairs = rows.reshape(heads, -1, 2, rows.shape[-1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def _open(path: Path) -> GGUFReader:
    with require_file(path).open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ValueError(f"{path}: not a GGUF file: expected magic b'GGUF', found {magic!r}")
    try:
        return GGUFReader(path)
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(
            f"{path}: expected a whole GGUF file of version 2 or 3, found {path.stat().st_size} "
            f"bytes that end early or are damaged ({error}); fetch the file again"
        ) from error


class _Metadata:
    """Typed access to the key-value pairs; every error names the file and the key."""

    def __init__(self, path: Path, reader: GGUFReader):
        self.path, self.fields = path, reader.fields

    def read(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        if key not in self.fields:
            if default is _REQUIRED:
                raise ValueError(
                    f"{self.path}: key {key!r} is missing: expected {kind.__name__}, found none"
                )
            return default
        value = self.fields[key].contents()
        if not isinstance(value, kind):
            raise ValueError(
                f"{self.path}: key {key!r}: expected {kind.__name__}, "
                f"found {type(value).__name__} {str(value)[:80]}"
            )
        return value

    def expect(self, key: str, kind: type, known: set, default: Any = _REQUIRED) -> Any:
        value = self.read(key, kind, default)
        if value not in known:
            raise ValueError(
                f"{self.path}: key {key!r}: expected one of {sorted(known)}, found {value!r}"
            )
        return value


def _decoder_config(metadata: _Metadata, vocab_size: int, tied: bool) -> DecoderConfig:
    read = metadata.read
    width, heads = read("llama.embedding_length", int), read("llama.attention.head_count", int)
    head_dim = read("llama.attention.key_length", int, width // max(heads, 1))
    kv_heads = read("llama.attention.head_count_kv", int, heads)
    if kv_heads < 1 or heads % kv_heads:
        raise ValueError(
            f"{metadata.path}: key 'llama.attention.head_count_kv': expected a divisor of "
            f"{heads} heads, found {kv_heads}"
        )
    # Keys that would change the computation without changing any tensor.
    metadata.expect("llama.attention.value_length", int, {head_dim}, head_dim)
    metadata.expect("llama.rope.dimension_count", int, {head_dim}, head_dim)
    metadata.expect("llama.rope.scaling.type", str, {"none"}, "none")
    metadata.expect("llama.expert_count", int, {0}, 0)
    return DecoderConfig(
        vocab_size=vocab_size,
        width=width,
        layers=read("llama.block_count", int),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        mlp_width=read("llama.feed_forward_length", int),
        rope_theta=read("llama.rope.freq_base", float, 10_000.0),
        norm_eps=read("llama.attention.layer_norm_rms_epsilon", float),
        tied=tied,
        max_positions=read("llama.context_length", int),
    )


def _read_decoder(path: Path, config: LlavaConfig, tensors: dict[str, ReaderTensor]) -> dict:
    """Read the decoder's parameters, checking the shape of each leaf."""
    tree = llava.abstract(config)["params"]["decoder"]
    params: dict = {}
    read = set()
    for pattern, (target, layout) in _TENSORS.items():
        *parents, leaf = target.split("/")
        expected, node = tree, params
        for name in parents:
            expected, node = expected[name], node.setdefault(name, {})
        if leaf not in expected:
            continue
        shape = expected[leaf].shape
        if "{}" not in pattern:
            node[leaf] = _read_tensor(path, tensors, pattern, shape, layout, config.decoder)
            read.add(pattern)
            continue
        stacked = node[leaf] = np.empty(shape, np.float32)
        for layer in range(config.decoder.layers):
            name = pattern.format(layer)
            stacked[layer] = _read_tensor(path, tensors, name, shape[1:], layout, config.decoder)
            read.add(name)
    unexpected = sorted(set(tensors) - read)
    if unexpected:
        raise ValueError(
            f"{path}: tensor {unexpected[0]!r} is unexpected ({len(unexpected)}): expected the "
            f"{len(read)} tensors of a Llama model with {config.decoder.layers} layers, "
            f"found {len(tensors)}"
        )
    return params


def _read_tensor(
    path: Path,
    tensors: dict[str, ReaderTensor],
    name: str,
    shape: tuple[int, ...],
    layout: str,
    config: DecoderConfig,
) -> np.ndarray:
    """Read tensor ``name`` in our layout, float32 of ``shape``."""
    expected = shape if layout == "same" else shape[::-1]
    if name not in tensors:
        raise ValueError(f"{path}: tensor {name!r} is missing: expected {expected}, found none")
    tensor = tensors[name]
    found = tuple(int(n) for n in reversed(tensor.shape))
    if found != expected:
        raise ValueError(f"{path}: tensor {name!r}: expected shape {expected}, found {found}")
    try:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
    except NotImplementedError:
        raise ValueError(
            f"{path}: tensor {name!r}: expected a type that the gguf package can dequantise, "
            f"found {tensor.tensor_type.name}"
        ) from None
    if layout in ("query", "key"):
        heads = config.heads if layout == "query" else config.kv_heads
        values = interleaved_to_half_split(values, heads)
    # Copy even what is stored in our layout, so that no leaf keeps the file mapped.
    return np.array(values if layout == "same" else values.T, np.float32, order="C")


def _build_tokenizer(metadata: _Metadata, tokens: list[str], bos_id: int | None) -> Tokenizer:
    """Build the byte-level BPE; control tokens are special, and are recognised in text."""
    metadata.expect("tokenizer.ggml.model", str, {"gpt2"})
    split = metadata.expect("tokenizer.ggml.pre", str, set(_SPLITS_DIGITS), "gpt-2")
    types = metadata.read("tokenizer.ggml.token_type", list)
    merges = metadata.read("tokenizer.ggml.merges", list)
    if len(types) != len(tokens):
        raise ValueError(
            f"{metadata.path}: key 'tokenizer.ggml.token_type': expected {len(tokens)} values, "
            f"one per token, found {len(types)}"
        )
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    try:
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(
            f"{metadata.path}: key 'tokenizer.ggml.merges': expected pairs of known tokens, "
            f"found a bad one ({error})"
        ) from error
    steps = [pre_tokenizers.Digits(individual_digits=True)] if _SPLITS_DIGITS[split] else []
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    for kind, special in ((_CONTROL, True), (_USER_DEFINED, False)):
        chosen = [t for t, k in zip(tokens, types, strict=True) if k == kind]
        added = [AddedToken(t, special=special, normalized=False) for t in chosen]
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(added)
    if metadata.read("tokenizer.ggml.add_bos_token", bool, False) and bos_id is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{tokens[bos_id]} $A", special_tokens=[(tokens[bos_id], bos_id)]
        )
    return tokenizer
