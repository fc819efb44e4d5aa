"""The chat template and the end tokens of a folder are those that transformers takes."""

import json
from pathlib import Path

import pytest
from absl import logging
from published_templates import PUBLISHED
from test_hf_processor import encoded, saved_by_transformers
from tokenizers_of_tests import byte_level

from mllm.data.conversation import assistant, image, raw, system, user
from mllm.data.hf_chat import chosen_format
from mllm.data.hf_processor import keep_chat_format, read_hf_processor
from mllm.data.templates import CHAT_TEMPLATES
from mllm.files import write_json, write_text

transformers = pytest.importorskip("transformers")

ZEPHYR = PUBLISHED["HuggingFaceH4/zephyr-7b-beta"].source
HERMES = PUBLISHED["teknium/OpenHermes-2.5-Mistral-7B"].source
VICUNA = PUBLISHED["llava-hf/llava-1.5-7b-hf"].source
NAMED = [{"name": "default", "template": ZEPHYR}, {"name": "rag", "template": HERMES}]


def jinja(folder: Path, source: str, name: str = "chat_template.jinja") -> None:
    write_text(folder / name, source)


def edit(folder: Path, name: str, **changes) -> None:
    path = folder / name
    content = json.loads(path.read_text()) if path.is_file() else {}
    write_json(path, content | changes)


LAYOUTS = {
    "a file of its own": lambda f: jinja(f, ZEPHYR),
    "chat_template.json": lambda f: edit(f, "chat_template.json", chat_template=ZEPHYR),
    "the tokenizer's": lambda f: edit(f, "tokenizer_config.json", chat_template=ZEPHYR),
    "several of the tokenizer": lambda f: edit(f, "tokenizer_config.json", chat_template=NAMED),
    "the processor's key": lambda f: edit(f, "processor_config.json", chat_template=ZEPHYR),
    "its file before the tokenizer's": lambda f: (
        jinja(f, ZEPHYR),
        edit(f, "tokenizer_config.json", chat_template=HERMES),
    ),
    "json before its file": lambda f: (
        edit(f, "chat_template.json", chat_template=ZEPHYR),
        jinja(f, HERMES),
    ),
    "json before the tokenizer's": lambda f: (
        edit(f, "chat_template.json", chat_template=ZEPHYR),
        edit(f, "tokenizer_config.json", chat_template=HERMES),
    ),
    "more in a folder": lambda f: (
        jinja(f, ZEPHYR),
        jinja(f, HERMES, "additional_chat_templates/rag.jinja"),
    ),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folder")
    saved_by_transformers(folder, "llava", byte_level(bos=True), nested=False)
    return folder


@pytest.fixture
def folder(good, tmp_path):
    for path in good.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.thorough
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_template_is_the_one_that_transformers_takes(layout, folder):
    LAYOUTS[layout](folder)
    ours = read_hf_processor(folder, "llava", 4)
    theirs = transformers.AutoProcessor.from_pretrained(folder)
    template = theirs.chat_template or theirs.tokenizer.chat_template
    if isinstance(template, dict):
        template = template["default"]
    text = theirs.apply_chat_template(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "<image>\nWho?"},
            {"role": "assistant", "content": "Ada."},
            {"role": "user", "content": "When?"},
        ],
        chat_template=template,
        add_generation_prompt=True,
    )
    shown = image(encoded(40, 30))
    turns = [system("Be brief."), user(shown, "Who?"), assistant("Ada."), user("When?")]
    assert ours.text(turns) == text and "<|user|>" in text
    assert "its own chat template, rendered" in chosen_format(folder, ours)


def test_which_format_was_taken_is_said(folder):
    ours = read_hf_processor(folder, "llava", 4)
    assert ours.config.chat_format == "vicuna"
    assert "'vicuna'; the folder has no chat template" in chosen_format(folder, ours)
    jinja(folder, "{# another file of the same text #}" + VICUNA)
    ours = read_hf_processor(folder, "llava", 4)
    assert ours.config.chat_format == "vicuna" and ours.config.chat_template is None
    assert "'vicuna', as by its own chat template" in chosen_format(folder, ours)
    ours = ours.with_chat_format("llava")
    assert "'llava', unlike by its own chat template" in chosen_format(folder, ours)


def test_a_choice_that_nobody_made_is_named_when_a_conversation_is_written(folder):
    several = [{"name": "a", "template": "1"}, {"name": "b", "template": "2"}]
    edit(folder, "tokenizer_config.json", chat_template=several)
    processor = read_hf_processor(folder, "llava", 4)
    assert processor.encode([raw("Who?")], generate=True).ids
    with pytest.raises(ValueError, match=r"config.json has templates named \['a', 'b'\], and none"):
        processor.encode([user("Who?")], generate=True)
    assert processor.with_chat_format("llava").encode([user("Who?")], generate=True).ids
    edit(folder, "tokenizer_config.json", chat_template=7)
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: chat_template is 7, expected"):
        read_hf_processor(folder, "llava", 4)


def test_a_template_for_tools_is_not_for_conversations(folder):
    jinja(folder, HERMES, "additional_chat_templates/tool_use.jinja")
    assert read_hf_processor(folder, "llava", 4).config.chat_format == "vicuna"


ENDS = {  # the settings of each file, and which tokens end a reply
    "generation_config": ({"generation_config.json": [2, 8]}, ["</s>", "<|im_end|>"]),
    "one of several": ({"generation_config.json": [8]}, ["<|im_end|>"]),
    "generation_config first": ({"generation_config.json": 8, "config.json": 2}, ["<|im_end|>"]),
    "config": ({"config.json": [2, 6, 2]}, ["</s>", "<end_of_utterance>"]),
    "none": ({}, ["</s>"]),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_reply_ends_at_any_end_token(name, folder):
    files, expected = ENDS[name]
    for file, ids in files.items():
        edit(folder, file, eos_token_id=ids)
    config = read_hf_processor(folder, "llava", 4).config
    assert [config.eos, *config.ends] == expected


def test_settings_of_replies_are_read_or_named(folder, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: said.append(text % values))
    edit(
        folder,
        "generation_config.json",
        bad_words_ids=[[4], [5], [300, 301]],
        suppress_tokens=[9, 4],
        stop_strings="\n",
        repetition_penalty=1.2,
        num_beams=1,
    )
    config = read_hf_processor(folder, "llava", 4).config
    assert config.barred == ("<image>", "<fake_token_around_image>", "<global-img>")
    assert config.stop == ("\n",)
    assert len(said) == 1 and "bad_words_ids [300, 301], repetition_penalty 1.2: rep" in said[0]
    edit(folder, "generation_config.json", stop_strings=["a", "b"])
    assert read_hf_processor(folder, "llava", 4).config.stop == ("a", "b")


def test_a_tokenizer_may_know_more_than_the_embedding(folder):
    """Until a text needs a token that has no row."""
    size = byte_level().get_vocab_size()
    edit(folder, "added_tokens.json", **{"<extra>": size, "<more>": size + 1})
    processor = read_hf_processor(folder, "llava", 4).with_rows(size)
    turns = [user("Where was Ada born?"), assistant("London")]
    assert max(processor.encode(turns).ids) < size
    with pytest.raises(ValueError, match=rf"row 1: needs the token '<more>' of id {size + 1}, but"):
        processor.encode([raw("Say <more>")], generate=True, where="row 1")
    with pytest.raises(ValueError, match=r"needs the token '<image>' of id 4"):
        read_hf_processor(folder, "llava", 4).with_rows(4)


@pytest.mark.thorough
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_chosen_format_goes_out_with_the_model(layout, folder):
    LAYOUTS[layout](folder)
    ours = read_hf_processor(folder, "llava", 4)
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    keep_chat_format(folder, ours, "llava")
    assert before == {path: path.read_bytes() for path in before}
    write_text(folder / "mine.jinja", HERMES)
    turns = [user(image(encoded(40, 30)), "Who?"), assistant("Ada."), user("When?")]
    for chosen in ("llava", "vicuna", str(folder / "mine.jinja")):
        ours = ours.with_chat_format(chosen)
        keep_chat_format(folder, ours, "llava")
        assert read_hf_processor(folder, "llava", 4).text(turns) == ours.text(turns)
        theirs = transformers.AutoProcessor.from_pretrained(folder).chat_template
        theirs = theirs["default"] if isinstance(theirs, dict) else theirs
        assert theirs == CHAT_TEMPLATES.get(chosen, HERMES)
