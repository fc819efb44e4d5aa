"""How a Hugging Face folder writes conversations and where its replies end."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from absl import logging
from tokenizers import Tokenizer

from mllm.data.chat import CHAT_FORMATS
from mllm.data.chat_template import ChatTemplate, dated
from mllm.data.conversation import Media, Turn, assistant, audio, image, system, user
from mllm.data.processor import Processor
from mllm.data.processor_config import TEMPLATE, ProcessorConfig
from mllm.files import read_json, read_text

MORE_TEMPLATES = "additional_chat_templates"
ONE, TWO = image(b"1"), image(b"2")
TALK = [user(ONE, "Who?"), assistant("Ada."), user("When?")]
# A template is a named format if it writes these as the format does.
PROBES: list[list[Turn]] = [
    [user("Who?")],
    [user(ONE, "Who?")],
    [user(ONE, TWO, "Who?")],
    [user("Who?", ONE)],
    [user("Here:", ONE, "Who?")],
    [system("Be brief."), user("Who?")],
    [system("Be brief."), user(ONE, "Who?")],
    TALK,
    [*TALK, assistant("In 1815.")],
    [system("Be brief."), *TALK, assistant(" In 1815.\n"), user(TWO, ONE, "\nAnd she? ")],
]
# Settings of generation_config.json that change greedy replies, and where they change nothing.
NOT_APPLIED = {
    "repetition_penalty": (1, 1.0),
    "no_repeat_ngram_size": (0,),
    "num_beams": (1,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "begin_suppress_tokens": ([],),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
}


def read_template(folder: Path, names: dict) -> ChatTemplate | None:
    """Return the chat template of a folder, None if it has none.

    Files are looked at in the order in which transformers' AutoProcessor takes them.

    Args:
      names: of special_tokens_map.json and tokenizer_config.json.
    """
    places = (place for place in _templates(folder, names) if place[1] is not None)
    where, found = next(places, (None, None))
    if found is None:
        return None
    if isinstance(found, list):  # as tokenizer_config.json names several
        found = {entry["name"]: entry["template"] for entry in found}
    if isinstance(found, dict):
        only = next(iter(found.values())) if len(found) == 1 else None
        if (source := found.get("default", only)) is None:
            # Nobody needs a choice for raw prompts and logits: the error waits for a conversation.
            message = f"{where} has templates named {sorted(found)}, and none is called 'default'"
            source = f"{{{{ raise_exception({json.dumps(message)}) }}}}"
        found = source
    if not isinstance(found, str):
        raise ValueError(f"{where}: chat_template is {found!r}, expected the text of a template")
    tokens = {
        role: token["content"] if isinstance(token, dict) else token
        for role, token in names.items()
        if role.endswith("_token") and isinstance(token, str | dict)
    }
    return dated(found, tokens)


def _templates(folder: Path, names: dict) -> Iterator[tuple[Path, object]]:
    """Yield each place that holds chat templates, and what it holds."""
    if (found := _optional(folder / "processor_config.json").get("chat_template")) is not None:
        yield folder / "processor_config.json", found
    if (path := folder / "chat_template.json").is_file():
        yield path, read_json(path).get("chat_template")
    if (path := folder / "chat_template.jinja").is_file():
        yield path, read_text(path)
    if (found := names.get("chat_template")) is not None:
        yield folder / "tokenizer_config.json", found
    # The other templates of this folder are for special uses, such as tools.
    if (path := folder / MORE_TEMPLATES / "default.jinja").is_file():
        yield path, read_text(path)


def with_template(processor: Processor, template: ChatTemplate) -> Processor:
    """Return a processor that writes conversations as a template does: by the chat format that
    writes the same text, if there is one, and by the template itself otherwise.
    """
    config = replace(processor.config, chat_format=TEMPLATE, chat_template=template)
    rendering = Processor(config, processor.tokenizer)
    first = processor.config.chat_format
    for name in sorted(CHAT_FORMATS, key=lambda name: name != first):  # otherwise in their order
        if writes_the_same(rendering, name):
            return processor.with_chat_format(name)
    return rendering


def writes_the_same(processor: Processor, name: str) -> bool:
    """Return whether a chat format writes conversations as a processor does."""
    written = CHAT_FORMATS[name]
    for turns in _probes(processor.config):
        for generate in (True, False):
            try:
                forms = processor.format, written
                texts = [processor.show_sounds(_joined(form(turns, generate))) for form in forms]
            except ValueError:  # a template may refuse a system turn, which no format does
                return False
            if texts[0] != texts[1]:
                return False
    return True


def _probes(config: ProcessorConfig) -> Iterator[list[Turn]]:
    """Yield ``PROBES`` with media of the kinds that a model takes."""
    for turns in PROBES:
        shown = any(turn.media for turn in turns)
        if config.image is not None or not shown:
            yield turns
        if config.audio is not None and shown:
            yield [_heard(turn) for turn in turns]


def _heard(turn: Turn) -> Turn:
    """Return a turn with sounds in place of its media."""
    parts = (audio(part.data) if isinstance(part, Media) else part for part in turn.parts)
    return replace(turn, parts=tuple(parts))


def _joined(pieces: list[tuple[str, bool]]) -> str:
    return "".join(text for text, _ in pieces)


def with_ends(processor: Processor, ends: list[str]) -> Processor:
    """Return a processor whose replies end at any of some tokens.

    What is learned as the end of an answer is the one that the chat format writes after an answer,
    the first one if it writes none of them.
    """
    try:
        pieces = processor.format([user("Who?"), assistant("Ada.")], False)
    except ValueError:  # the template says so when it is used
        pieces = []
    last = max((place for place, (_, said) in enumerate(pieces) if said), default=len(pieces))
    after = _joined(pieces[last + 1 :]).lstrip()[1:]  # without the mark of a special token
    eos = next((end for end in ends if after.startswith(end)), ends[0])
    others = tuple(end for end in ends if end != eos)
    return Processor(replace(processor.config, eos=eos, ends=others), processor.tokenizer)


def read_ends(tokenizer: Tokenizer, folder: Path, names: dict) -> list[str]:
    """Return the names of the tokens at which a generation ends."""
    where, ids = _setting(folder, "eos_token_id")
    if ids is not None and ids != []:
        ends = [tokenizer.id_to_token(i) for i in (ids if isinstance(ids, list) else [ids])]
        if None in ends:
            raise ValueError(f"{where}: eos_token_id {ids} is not in tokenizer.json")
        return list(dict.fromkeys(ends))
    eos = names.get("eos_token")
    if not (eos := eos["content"] if isinstance(eos, dict) else eos):
        raise ValueError(
            f"{folder}: no eos_token_id in generation_config.json or config.json, nor an eos_token "
            "in tokenizer_config.json"
        )
    return [eos]


def read_limits(tokenizer: Tokenizer, folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the fields ``barred`` and ``stop`` of a ProcessorConfig.

    What else a folder's generation_config.json says about greedy replies is not applied; a warning
    names it.
    """
    where, phrases = _setting(folder, "bad_words_ids")
    phrases = phrases or []
    ids = [phrase[0] for phrase in phrases if len(phrase) == 1]
    ids += _setting(folder, "suppress_tokens")[1] or []
    barred = [tokenizer.id_to_token(i) for i in dict.fromkeys(ids)]
    ignored = [f"bad_words_ids {p}" for p in phrases if len(p) > 1]
    for key, neutral in NOT_APPLIED.items():
        value = _optional(folder / "generation_config.json").get(key)
        if value is not None and value not in neutral:
            ignored.append(f"{key} {value}")
    if ignored:
        where = folder / "generation_config.json"
        logging.warning("%s: %s: replies are generated without it", where, ", ".join(ignored))
    stop = _setting(folder, "stop_strings")[1] or []
    return {
        "barred": tuple(name for name in barred if name is not None),
        "stop": (stop,) if isinstance(stop, str) else tuple(stop),
    }


def _setting(folder: Path, key: str) -> tuple[Path, object]:
    """Return (file, value) of a setting of generation, None as the value if no file has it."""
    config = _optional(folder / "config.json")
    for where, values in (
        ("generation_config.json", _optional(folder / "generation_config.json")),
        ("config.json", config),
        ("config.json", config.get("text_config") or {}),
    ):
        if (value := values.get(key)) is not None:
            return folder / where, value
    return folder / "generation_config.json", None


def _optional(path: Path) -> dict:
    return read_json(path) if path.is_file() else {}


def chosen_format(folder: Path, processor: Processor) -> str:
    """Return a line that says how conversations with a folder's model are written, and why."""
    names = _optional(folder / "special_tokens_map.json") | _optional(
        folder / "tokenizer_config.json"
    )
    template, config = read_template(folder, names), processor.config
    if config.chat_template is not None:
        whose = "its own chat template" if config.chat_template == template else "another template"
        return f"{folder}: conversations are written by {whose}, rendered with Jinja"
    name = f"chat format {config.chat_format!r}"
    if template is None:
        return f"{folder}: conversations are written in {name}; the folder has no chat template"
    rendering = with_template(processor, template)
    if rendering.config.chat_format == config.chat_format:
        return f"{folder}: conversations are written in {name}, as by its own chat template"
    return f"{folder}: conversations are written in {name}, unlike by its own chat template"
