"""Chat formats are the published templates, character by character, whatever the turns."""

import pytest
from tokenizers_of_tests import byte_level

from mllm.data.blocks import IMAGE, IMAGE_BLOCKS, MARK, show_images
from mllm.data.chat import CHAT_FORMATS
from mllm.data.conversation import Media, Turn, assistant, image, system, user
from mllm.data.templates import CHAT_TEMPLATES

transformers = pytest.importorskip("transformers")

PUBLISHED = {
    # llava-hf/llava-1.5-7b-hf, chat_template.json; also in huggingface/transformers,
    # tests/models/llava/test_processing_llava.py
    "vicuna": "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}",  # noqa: E501
    # llava-hf/llava-v1.6-mistral-7b-hf, chat_template.json, as in openvinotoolkit/openvino.genai
    "mistral": "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<<SYS>>\\n' + message['content'][0]['text'] + '\\n<</SYS>>\\n\\n' }}{% elif message['role'] == 'user' %}{{ '[INST] ' }}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}{# Render all text next #}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}{{' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'][0]['text'] + '<\\\\s> '}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}",  # noqa: E501
    # HuggingFaceM4/idefics2-8b, processor_config.json, discussion 36
    "idefics2": "{% for message in messages %}{{message['role'].capitalize()}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",  # noqa: E501
    # HuggingFaceTB/SmolVLM-Instruct, chat_template.json; also in huggingface/transformers,
    # tests/models/smolvlm/test_processing_smolvlm.py
    "smolvlm": "<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",  # noqa: E501
    # HuggingFaceTB/SmolLM2-135M-Instruct, tokenizer_config.json
    "chatml": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",  # noqa: E501
}
ONE, TWO = image(b"one"), image(b"two")
ASK, ANSWER = "Where was Ada born?", "In London."
CONVERSATIONS = {
    "a question": [user(ASK)],
    "a question about an image": [user(ONE, ASK)],
    "three images": [user(ONE, TWO, ONE, ASK)],
    "an image after the text": [user(ASK, ONE)],
    "an image between texts": [user("Here:", ONE, ASK)],
    "a system turn": [system("Say nothing of Ada."), user(ASK)],
    "a system turn and an image": [system("Say nothing of Ada."), user(ONE, ASK)],
    "several turns": [user(ONE, ASK), assistant(ANSWER), user("And when?")],
    "images in several turns": [
        system("Be brief."),
        user(ONE, ASK),
        assistant(ANSWER),
        user(TWO, ONE, "And she?"),
        assistant("In Paris."),
        user("And when?"),
    ],
    "an answer at the end": [user(ONE, ASK), assistant(ANSWER)],
    "two answers": [user(ONE, ASK), assistant(ANSWER), user("When?"), assistant("1815")],
}
IN_ANSWERS = [user(ONE, ASK), assistant(TWO, ANSWER), user("And when?")]


def rendered(template: str, turns: list[Turn], generate: bool, plain: bool = False) -> str:
    """What transformers renders; ``plain`` gives texts in place of lists of content."""

    def entry(part):
        if isinstance(part, Media):
            return {"type": "image"}
        return {"type": "text", "text": part}

    messages = [
        {"role": turn.role, "content": turn.text if plain else list(map(entry, turn.parts))}
        for turn in turns
    ]
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_level())
    return tokenizer.apply_chat_template(
        messages, chat_template=template, add_generation_prompt=generate, tokenize=False
    )


def check(name: str, turns: list[Turn], generate: bool) -> None:
    pieces = CHAT_FORMATS[name](turns, generate)
    text = "".join(piece for piece, _ in pieces).replace(MARK, "")
    images = sum(len(turn.media) for turn in turns)
    assert text == rendered(CHAT_TEMPLATES[name], turns, generate)
    if name in PUBLISHED and not (name == "chatml" and images):  # that one is of a text model
        assert text == rendered(PUBLISHED[name], turns, generate, plain=name == "chatml")
    assert sum(piece.count(IMAGE) for piece, _ in pieces) == images
    said = [piece.replace(IMAGE, "").strip() for piece, by_assistant in pieces if by_assistant]
    assert said == [turn.text for turn in turns if turn.role == "assistant"]


@pytest.mark.parametrize("generate", [True, False])
@pytest.mark.parametrize("turns", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("name", CHAT_TEMPLATES)
def test_formats_are_the_published_templates(name, turns, generate):
    check(name, turns, generate)


@pytest.mark.parametrize("name", CHAT_TEMPLATES)
def test_an_assistant_may_show_an_image(name):
    if name == "mistral":
        with pytest.raises(ValueError, match="'mistral' shows media in user turns only"):
            check(name, IN_ANSWERS, True)
        return
    for generate in (True, False):
        check(name, IN_ANSWERS, generate)


@pytest.mark.parametrize("name", CHAT_TEMPLATES)
def test_the_lead_of_an_answer_is_the_text_up_to_it(name):
    """A model reads the same before it answers as before the answer that it learned."""
    turns = CONVERSATIONS["several turns"]
    asked = "".join(piece for piece, _ in CHAT_FORMATS[name](turns, True))
    pieces = CHAT_FORMATS[name]([*turns, assistant("In 1815.")], False)
    last = max(i for i, (_, said) in enumerate(pieces) if said)
    assert "".join(piece for piece, _ in pieces[:last]) == asked


def test_the_prompt_of_the_model_card():
    """MLLMU-Bench, data_process/data_preprocess.py, writes it too."""
    text = "".join(piece for piece, _ in CHAT_FORMATS["llava"]([user(ONE, "Who?")], True))
    assert text.replace(MARK, "") == "USER: <image>\nWho?\nASSISTANT:"


def test_blocks_lay_an_image_out():
    shown = {
        name: show_images(f"a{IMAGE}{IMAGE}b{IMAGE}c", [(0, 0), (2, 1), (0, 0)], block)
        for name, block in IMAGE_BLOCKS.items()
    }
    fake, whole = "<fake_token_around_image>", "<fake_token_around_image><global-img><image>"
    assert {name: text.replace(MARK, "") for name, text in shown.items()} == {
        "plain": "a<image><image>b<image>c",
        "idefics2": f"a{fake}" + f"<image>{fake}" * 4 + f"b{fake}<image>{fake}c",
        "idefics3": f"a{whole}{fake}{fake}<row_1_col_1><image>\n{fake}<row_2_col_1><image>\n\n"
        f"{whole}{fake}b{whole}{fake}c",
    }
