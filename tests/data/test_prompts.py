"""Chat formats are the published templates, character by character."""

import pytest
from tokenizers_of_tests import byte_level

from mllm.data.blocks import IMAGE, IMAGE_BLOCKS, MARK, show_images
from mllm.data.prompts import CHAT_FORMATS
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
QUESTION = "Where was Ada born?"


def rendered(template: str, images: int, system: str | None, plain: bool = False) -> str:
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=byte_level())
    text = {"type": "text", "text": QUESTION}
    messages = [{"role": "user", "content": [{"type": "image"}] * images + [text]}]
    if system is not None:
        said = [{"type": "text", "text": system}]
        messages.insert(0, {"role": "system", "content": said})
    if plain:
        for message in messages:
            message["content"] = message["content"][0]["text"]
    return tokenizer.apply_chat_template(
        messages, chat_template=template, add_generation_prompt=True, tokenize=False
    )


@pytest.mark.parametrize("system", [None, "You forget Ada."])
@pytest.mark.parametrize("images", [0, 1, 3])
@pytest.mark.parametrize("name", [*PUBLISHED, "llava"])
def test_formats_are_the_published_templates(name, images, system):
    prefix, suffix = CHAT_FORMATS[name](QUESTION, images, system)
    text = (prefix + suffix).replace(MARK, "")
    if name in PUBLISHED and not (name == "chatml" and images):  # that one is of a text model
        assert text == rendered(PUBLISHED[name], images, system, plain=name == "chatml")
    assert text == rendered(CHAT_TEMPLATES[name], images, system)
    assert prefix.count(IMAGE) == images and IMAGE not in suffix
    assert not prefix or prefix.endswith(tuple(MARK + token for token in SPECIAL_ENDS))


SPECIAL_ENDS = ("<image>", "<|im_start|>", "<end_of_utterance>")


def test_the_prompt_of_the_benchmark():
    """MLLMU-Bench, data_process/data_preprocess.py."""
    text = "".join(CHAT_FORMATS["llava"]("Who?", 1)).replace(MARK, "")
    assert text == "USER: <image>\nWho?\nASSISTANT:"


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
