"""Read and write the processor files of a Hugging Face folder.

The files read are preprocessor_config.json, processor_config.json (transformers 5 nests the image
processor in it), config.json, and those of ``mllm.data.hf_text``. ``AutoProcessor`` of transformers
4 and 5 reads what is written.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, processors

from mllm.data.hf_chat import MORE_TEMPLATES
from mllm.data.hf_images import read_images, write_images
from mllm.data.hf_sounds import read_sounds, write_sounds
from mllm.data.hf_text import as_folder_says, bos_of, name_of, optional, read_tokens
from mllm.data.processor import Processor, ProcessorConfig
from mllm.data.processor_config import TEMPLATE
from mllm.data.templates import CHAT_TEMPLATES
from mllm.files import read_json, write_json, write_text
from mllm.registry import lookup

BLOCKS = {"llava": "plain", "llava_next": "plain", "idefics2": "idefics2", "idefics3": "idefics3"}
# Of other families, the format is that of their decoder.
FORMATS = {"idefics2": "idefics2", "idefics3": "idefics2", "listener": "qwen2_audio"}
HEARING = ("listener",)  # families of models that hear and see nothing
PROCESSORS = {
    "llava": "LlavaProcessor",
    "llava_next": "LlavaNextProcessor",
    "idefics2": "Idefics2Processor",
    "idefics3": "Idefics3Processor",
    "listener": "Qwen2AudioProcessor",
}


def read_hf_processor(folder: Path, family: str, image_tokens: int) -> Processor:
    """Read the processor of a folder, for a model with ``image_tokens`` tokens per image or tile.

    Args:
      family: llava, llava_next, idefics2, idefics3 (SmolVLM too) or listener (Qwen2-Audio). A
        folder without a chat template has the published one of its family.

    Raises:
      FileNotFoundError, ValueError: the message names the file, the key, found and expected.
    """
    lookup(PROCESSORS, family, "family of processors")
    tokenizer, names = read_tokens(folder)
    bos = bos_of(tokenizer, folder, names)
    starts = family == "idefics3" and bos is None
    starts = starts and tokenizer.token_to_id("<|im_start|>") is not None
    return as_folder_says(
        folder,
        tokenizer,
        names,
        **_read_media(folder, family, tokenizer, image_tokens),
        chat_format="smolvlm" if starts else _published_format(folder, family),
        bos=bos,
    )


def _read_media(folder: Path, family: str, tokenizer: Tokenizer, image_tokens: int) -> dict:
    """Return the fields of a ProcessorConfig that say how media are prepared and written."""
    where = folder / "processor_config.json"
    if family in HEARING:
        return {"image": None, "image_tokens": 0, "audio": read_sounds(folder)}
    image = name_of(optional(where).get("image_token") or "<image>")
    if tokenizer.token_to_id(image) is None:
        raise ValueError(
            f"{folder / 'tokenizer.json'}: has no image token {image!r}; add it as a special token "
            "to tokenizer and embedding, and save the folder again with transformers"
        )
    if (sequence := optional(where).get("image_seq_len", image_tokens)) != image_tokens:
        raise ValueError(
            f"{where}: image_seq_len is {sequence}, but an image of the model takes {image_tokens} "
            "tokens"
        )
    pictures = read_images(folder, family, image_tokens)
    names = {"image": image, "image_tokens": image_tokens, "image_block": BLOCKS[family]}
    return {**pictures, **names}


def _settings(folder: Path, config: ProcessorConfig, family: str, tower) -> dict:
    """Return the settings of the image processor or feature extractor of a folder."""
    if family in HEARING:
        return write_sounds(folder, config.audio, tower)
    return write_images(folder, config, family, tower)


def _published_format(folder: Path, family: str) -> str:
    """Return the chat format of the published folders of a family: LLaVA's have Vicuna's, but for
    LLaVA-NeXT with a decoder of Mistral's.
    """
    text = optional(folder / "config.json").get("text_config") or {}
    named = family == "llava_next" and text.get("model_type") == "mistral"
    return FORMATS.get(family, "mistral" if named else "vicuna")


def write_hf_processor(folder: Path, processor: Processor, family: str, tower) -> None:
    """Write the files that ``AutoProcessor`` and ``AutoTokenizer`` need.

    Args:
      tower: the config of the encoder; of a vision tower, ``patch_size``, ``class_token``,
        ``drop_first``, ``mean`` and ``std`` are written, of one of sounds ``bins``.

    Raises:
      ValueError: the family's processor makes other pictures or other image tokens than ours.
    """
    config = processor.config
    settings = _settings(folder, config, family, tower)
    if family in BLOCKS and config.image_block != BLOCKS[family]:
        raise ValueError(
            f"{folder}: a processor of family {family!r} has the image block {BLOCKS[family]!r}, "
            f"found {config.image_block!r}"
        )
    if config.transform == "anyres" and not config.split:
        raise ValueError(
            f"{folder}: split is False, expected True: {PROCESSORS[family]} always shows tiles of "
            "a larger canvas too"
        )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_str(processor.tokenizer.to_str())
    begin = "" if config.bos is None else f"{config.bos}:0 "
    names = [] if config.bos is None else [(config.bos, processor.token_id(config.bos))]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin}$A:0", pair=f"{begin}$A:0 $B:0", special_tokens=names
    )
    write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    named = {"bos_token": config.bos, "eos_token": config.eos, "pad_token": config.pad}
    named = {role: name for role, name in named.items() if name is not None}
    write_json(folder / "special_tokens_map.json", named)
    kind = {"processor_class": PROCESSORS[family]}
    # Not the family's own class of tokenizers: those rebuild what tokenizer.json says. But where
    # Idefics2Processor spaces words that the tokenizer spaces too, that class is what undoes it.
    options = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    if family == "idefics2" and processor.prepends:
        options |= {"tokenizer_class": "LlamaTokenizer", "legacy": True}
        options["add_bos_token"] = config.bos is not None
    # Without it, tokenizers of transformers 4 return token_type_ids, which no model here takes.
    options["model_input_names"] = ["input_ids", "attention_mask"]
    write_json(folder / "tokenizer_config.json", {**named, **options, **kind})
    write_json(folder / "preprocessor_config.json", {**settings, **kind})
    if family in ("llava", "llava_next"):
        layout = {
            "image_token": config.image,
            "patch_size": tower.patch_size,
            "num_additional_image_tokens": int(tower.class_token),
            "vision_feature_select_strategy": "default" if tower.drop_first else "full",
        }
    elif family in HEARING:
        layout = {}
    else:
        layout = {"image_seq_len": config.image_tokens}
    write_json(folder / "processor_config.json", {**layout, **kind})
    _write_template(folder, config)


def keep_chat_format(folder: Path, processor: Processor, family: str) -> None:
    """Give a folder the chat template of a processor, if it is read with another one: a model that
    learned conversations in a chosen format is to be asked in it.
    """
    there = read_hf_processor(folder, family, processor.config.image_tokens)
    if _source(there.config) == _source(processor.config):
        return
    for name in ("processor_config.json", "tokenizer_config.json"):
        if (folder / name).is_file() and "chat_template" in (content := read_json(folder / name)):
            content.pop("chat_template")
            write_json(folder / name, content)
    _write_template(folder, processor.config)


def _write_template(folder: Path, config: ProcessorConfig) -> None:
    """Write the chat template where transformers 4 looks for it, and where transformers 5 does."""
    write_text(folder / "chat_template.jinja", _source(config))
    if (folder / MORE_TEMPLATES).is_dir():  # transformers 5 refuses both, and 4 knows neither
        (folder / "chat_template.json").unlink(missing_ok=True)
    else:
        write_json(folder / "chat_template.json", {"chat_template": _source(config)})


def _source(config: ProcessorConfig) -> str:
    """Return the Jinja source of a chat format.

    Raises:
      ValueError: the model hears, and the format has a template for pictures alone.
    """
    template = config.chat_template
    if config.audio is not None and config.chat_format not in ("qwen2_audio", TEMPLATE):
        raise ValueError(
            f"the chat format is {config.chat_format!r}, expected 'qwen2_audio' or a template: the "
            "templates of other formats have no place for sounds"
        )
    return CHAT_TEMPLATES[config.chat_format] if template is None else template.source
