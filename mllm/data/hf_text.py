"""Read the tokenizer of a Hugging Face folder and how it writes conversations.

The files read are tokenizer.json, tokenizer_config.json, special_tokens_map.json,
added_tokens.json and those of ``mllm.data.hf_chat``.
"""

from dataclasses import replace
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from mllm.data.hf_chat import read_ends, read_limits, read_template, with_ends, with_template
from mllm.data.processor import Processor, ProcessorConfig, read_tokenizer
from mllm.files import read_json


def read_text_processor(folder: Path) -> Processor:
    """Read the tokenizer of a folder and how it writes conversations, for text alone.

    A folder without a chat template writes them as Vicuna does.

    Raises:
      FileNotFoundError, ValueError: the message names the file, the key, found and expected.
    """
    tokenizer, names = read_tokens(folder)
    bos = bos_of(tokenizer, folder, names)
    options = dict(chat_format="vicuna", bos=bos, image=None, image_tokens=0)
    return as_folder_says(folder, tokenizer, names, **options)


def read_tokens(folder: Path) -> tuple[Tokenizer, dict]:
    """Return (tokenizer, what special_tokens_map.json and tokenizer_config.json say)."""
    if not (folder / "tokenizer.json").is_file():
        raise FileNotFoundError(
            f"{folder / 'tokenizer.json'}: no such file; write it with transformers: "
            "AutoTokenizer.from_pretrained(FOLDER, use_fast=True).save_pretrained(FOLDER)"
        )
    tokenizer = read_tokenizer(folder / "tokenizer.json")
    names = optional(folder / "special_tokens_map.json")
    names |= optional(folder / "tokenizer_config.json")
    _add_declared(tokenizer, folder, names)
    return tokenizer, names


def as_folder_says(folder: Path, tokenizer: Tokenizer, names: dict, **options) -> Processor:
    """Return a processor with the chat template, the ends and the limits of a folder.

    Args:
      options: other fields of the ProcessorConfig; ``chat_format`` is that without a template.

    Raises:
      ValueError: the message names the folder.
    """
    ends, pad = read_ends(tokenizer, folder, names), name_of(names.get("pad_token"))
    template, limits = read_template(folder, names), read_limits(tokenizer, folder)
    try:
        config = ProcessorConfig(**limits, eos=ends[0], pad=pad or ends[0], **options)
        processor = Processor(config, tokenizer)
        if template is not None:
            processor = with_template(processor, template)
        processor = with_ends(processor, ends)
        return Processor(replace(processor.config, pad=pad or processor.config.eos), tokenizer)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None


def _add_declared(tokenizer: Tokenizer, folder: Path, names: dict) -> None:
    """Add the tokens that the other files declare and tokenizer.json lacks."""
    declared = {}
    for index, token in names.get("added_tokens_decoder", {}).items():
        options = {k: v for k, v in token.items() if k != "__type"}
        declared[int(index)] = AddedToken(**options)
    for name, index in optional(folder / "added_tokens.json").items():
        declared.setdefault(index, AddedToken(name, special=True, normalized=False))
    for role in ("bos_token", "eos_token", "pad_token", "unk_token"):  # special, says transformers
        name = name_of(names.get(role))
        if name is not None and tokenizer.token_to_id(name) is not None:
            tokenizer.add_special_tokens([name])
    for index, token in sorted(declared.items()):
        if tokenizer.token_to_id(token.content) is None:
            tokenizer.add_tokens([token])
        found = tokenizer.token_to_id(token.content)
        if found != index:
            raise ValueError(
                f"{folder}: token {token.content!r} has id {found} in tokenizer.json, but id "
                f"{index} in tokenizer_config.json or added_tokens.json"
            )


def bos_of(tokenizer: Tokenizer, folder: Path, names: dict) -> str | None:
    """Return the token that the tokenizer puts in front of every text."""
    added = tokenizer.encode("").ids
    named = name_of(names.get("bos_token"))
    if names.get("add_bos_token") is not None:  # set, it overrules tokenizer.json in transformers
        return named if names["add_bos_token"] else None
    if len(added) > 1:
        raise ValueError(
            f"{folder / 'tokenizer.json'}: its post_processor adds tokens {added} to an empty "
            "text, expected one at most, that of the beginning"
        )
    return tokenizer.id_to_token(added[0]) if added else None


def name_of(token: str | dict | None) -> str | None:
    """Return the name of a token, which older files hold with its options."""
    return token["content"] if isinstance(token, dict) else token


def optional(path: Path) -> dict:
    """Return the content of a JSON file, {} if there is none."""
    return read_json(path) if path.is_file() else {}
