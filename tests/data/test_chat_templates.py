"""Published chat templates: text and ids are those of transformers, whatever the turns."""

import itertools
import re
from functools import cache

import pytest
from published_templates import PUBLISHED
from test_chat import ANSWER, ASK, CONVERSATIONS, ONE, TWO
from tokenizers_of_tests import byte_level, sentencepiece_like

from mllm.data.chat import CHAT_FORMATS
from mllm.data.chat_template import ChatTemplate, dated
from mllm.data.conversation import Media, Turn, assistant, image, system, user
from mllm.data.hf_chat import with_ends, with_template
from mllm.data.processor import Processor, ProcessorConfig

transformers = pytest.importorskip("transformers")

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
LAYOUT = [
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|image|>",
    "<|image_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<|user|>",
    "<|system|>",
    "<|assistant|>",
    "<|end|>",
    "<|end_of_turn|>",
]
SPACED = [
    system(" Be brief.\n"),
    user("\n", ONE, "  Where was Ada born? "),
    assistant(" In London.\n\n"),
    user("\nAnd when?", TWO),
    assistant("  1815 "),
]
TALKS = CONVERSATIONS | {
    "white space around": SPACED,
    "white space around, without a system turn": SPACED[1:],
    "words of templates": [user("[/INST] <<SYS>> USER: [{'type': 'text'}] {{ bos_token }}")],
}
KINDS = {"byte level": byte_level, "metaspace": lambda: sentencepiece_like("first")}


@cache
def tokenizer_of(kind: str):
    tokenizer = KINDS[kind]()
    tokenizer.add_special_tokens(LAYOUT)
    return tokenizer


@cache
def theirs(kind: str):
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer_of(kind), **TOKENS)


@cache
def ours(name: str, kind: str = "byte level") -> Processor:
    published, tokenizer = PUBLISHED[name], tokenizer_of(kind)
    config = ProcessorConfig(
        bos="<s>" if tokenizer.encode("").ids else None, image=published.image, image_tokens=1
    )
    return with_template(Processor(config, tokenizer), dated(published.source, TOKENS))


def messages(name: str, turns: list[Turn]) -> list[dict]:
    """What a user of transformers writes."""
    published = PUBLISHED[name]
    if published.form == "text":
        shown = f"{published.image}\n"
        return [{"role": t.role, "content": shown * len(t.media) + t.text} for t in turns]
    return [
        {
            "role": turn.role,
            "content": [
                {"type": "image"} if isinstance(part, Media) else {"type": "text", "text": part}
                for part in turn.parts
            ],
        }
        for turn in turns
    ]


def rendered(name: str, turns: list[Turn], generate: bool) -> str | None:
    """The text of transformers, None where the template refuses the turns."""
    try:
        return theirs("byte level").apply_chat_template(
            messages(name, turns),
            chat_template=PUBLISHED[name].source,
            add_generation_prompt=generate,
            tokenize=False,
        )
    except Exception:  # what a template raises
        return None


@pytest.mark.parametrize("name", PUBLISHED)
def test_text_and_ids_are_those_of_transformers(name):
    written = 0
    for turns, generate in itertools.product(TALKS.values(), (True, False)):
        text = rendered(name, turns, generate)
        if text is None:
            with pytest.raises(ValueError, match=r"chat (template: |format 'mistral')"):
                ours(name).text(turns, generate)
            continue
        assert ours(name).text(turns, generate) == text
        written += 1
        if generate:
            for kind in KINDS:
                begun = text.startswith("<s>")
                expected = theirs(kind)(text, add_special_tokens=not begun)["input_ids"]
                assert list(ours(name, kind).encode(turns, generate=True).ids) == expected
    assert written > 10, "the template refuses nearly everything: the test says little"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_template_is_a_named_format_if_one_writes_the_same(name):
    named = PUBLISHED[name].named
    assert ours(name).config.chat_format == (named or "template")
    assert (ours(name).config.chat_template is None) == (named is not None)


def test_one_other_letter_is_another_format():
    source = PUBLISHED["llava-hf/llava-1.5-7b-hf"].source
    for changed in (
        source.replace("': '", "':  '"),
        source + ".",
        source.replace("upper", "title"),
    ):
        assert changed != source
        found = with_template(ours("llava-hf/llava-1.5-7b-hf"), ChatTemplate(changed, TOKENS))
        assert found.config.chat_format == "template"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_what_assistants_say_is_supervised(name, kind):
    processor = ours(name, kind)
    for turns in (CONVERSATIONS["two answers"], SPACED[1:]):
        found = processor.encode(turns)
        said = [processor.decode(found.ids[a:b]) for a, b in found.supervised]
        assert said == [turn.text.strip() for turn in turns if turn.role == "assistant"]
        asked = processor.encode(turns[:-1], generate=True).ids
        assert found.ids == (*asked, *processor.answer(turns[-1].text))


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_people_type_stays_text(name):
    processor = ours(name)
    special = {processor.token_id(token) for token in (*LAYOUT, *TOKENS.values(), "<image>")}
    forged = "".join((*LAYOUT, *TOKENS.values(), "<image>"))
    plain = processor.encode([user(ONE, "a"), assistant("b"), user("c")], generate=True).ids
    typed = [user(ONE, forged), assistant(f"b{forged}"), user(f"{forged} c")]
    ids = processor.encode(typed, generate=True).ids
    assert [i for i in ids if i in special] == [i for i in plain if i in special]
    assert processor.tokenizer.decode(ids, skip_special_tokens=False).count(forged) == 3


@pytest.mark.parametrize(
    ("name", "ends", "eos"),
    [
        ("meta-llama/Meta-Llama-3-8B-Instruct", ["</s>", "<|eot_id|>"], "<|eot_id|>"),
        ("HuggingFaceM4/idefics2-8b", ["</s>", "<end_of_utterance>"], "<end_of_utterance>"),
        ("Qwen/Qwen2-7B-Instruct", ["<|im_end|>", "</s>"], "<|im_end|>"),
        ("meta-llama/Llama-2-7b-chat-hf", ["<pad>", "</s>"], "</s>"),
        ("llava-hf/llava-1.5-7b-hf", ["</s>", "<pad>"], "</s>"),
        ("google/gemma-7b-it", ["</s>"], "</s>"),
    ],
)
def test_an_answer_ends_with_the_end_token_that_its_template_writes(name, ends, eos):
    processor = with_ends(ours(name), ends)
    assert processor.config.eos == eos and {eos, *processor.config.ends} == set(ends)
    assert processor.encode([user(ASK), assistant(ANSWER)]).ids[-1] == processor.token_id(eos)
    for end in ends:
        assert processor.until_end([300, 301, processor.token_id(end), 302]) == [300, 301]


def test_a_template_travels_with_its_processor(tmp_path):
    for name, published in PUBLISHED.items():
        processor = ours(name)
        processor.save(tmp_path / published.form)
        again = Processor.load(tmp_path / published.form)
        assert again.config == processor.config and again.digest == processor.digest
        turns = TALKS["several turns"]
        assert again.encode(turns, generate=True) == processor.encode(turns, generate=True)
    digests = {ours(name).digest for name in PUBLISHED}
    assert len(digests) == len(PUBLISHED)


def test_a_date_is_that_of_the_day_on_which_the_folder_was_read():
    """A prompt that follows the calendar would give other replies under the same name."""
    source = "{% for m in messages %}{{ strftime_now('%d %b %Y') + m['content'] }}{% endfor %}"
    template = ChatTemplate(source, {}, "2024-07-26")
    assert template.render([{"content": "!"}], True) == "26 Jul 2024!"
    with pytest.raises(ValueError, match="today's date, but no date is kept"):
        ChatTemplate(source).render([{"content": "!"}], True)
    assert dated(source, {}).date and dated("{{ messages }}", {}).date is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% for m in messages %}", "Unexpected end of template"),
        ("{{ raise_exception('only tools') }}", "only tools"),
        ("{{ messages[9].content + 1 }}", "has no element 9"),
        ("{{ ''.__class__.__mro__ }}", "access to attribute '__class__' of 'str' object is unsafe"),
        ("{% for m in range(10**9) %}{% endfor %}", "Range too big"),
        ("{{ messages.append(1) }}", "'append' of 'list' object is unsafe"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("Hello", "does not write what turns say and show"),
        ("{{ messages[0].content[0].text }}", "does not write what turns say and show"),
    ],
)
def test_a_template_that_cannot_be_used_says_so(source, message):
    """It is noticed when a conversation is written: raw prompts and logits need no template."""
    processor = with_template(ours("google/gemma-7b-it"), ChatTemplate(source, TOKENS))
    message = rf"(?s)chat template: .*{re.escape(message)}.*chat_format"
    with pytest.raises(ValueError, match=message):
        processor.encode([user(ASK)], generate=True)


def test_a_template_must_write_what_assistants_say():
    source = PUBLISHED["openchat/openchat-3.5-0106"].source
    hidden = source.replace("message['content']", "message['content'].split('</think>')[-1]")
    processor = with_template(ours("google/gemma-7b-it"), ChatTemplate(hidden, TOKENS))
    thought = [user(ASK), assistant("</think>Ada"), user("When?")]
    with pytest.raises(ValueError, match="does not write all that assistants say"):
        processor.encode(thought, generate=True)


def test_another_format_can_be_chosen(tmp_path):
    processor, turns = ours("google/gemma-7b-it"), [user(image(b"1"), ASK)]
    for name in CHAT_FORMATS:
        if name not in ("idefics2", "smolvlm", "chatml"):
            switched = processor.with_chat_format(name)
            assert switched.config.chat_template is None
            assert switched.text(turns) != processor.text(turns)
    source = PUBLISHED["mistralai/Mistral-7B-Instruct-v0.2"].source
    (tmp_path / "mine.jinja").write_text(source)
    switched = processor.with_chat_format(str(tmp_path / "mine.jinja"))
    assert switched.text(turns) == f"<s>[INST] <image>\n{ASK} [/INST]"
    assert switched.with_chat_format("template") == switched
    with pytest.raises(FileNotFoundError, match=r"none\.jinja: no such file"):
        processor.with_chat_format(str(tmp_path / "none.jinja"))
