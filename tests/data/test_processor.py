"""Text and images on their way into a row."""

import io
import json
from dataclasses import replace

import pytest
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers_of_tests import KINDS, byte_level

from mllm.benchmarks.mllmu.generate import SIZES, generate
from mllm.benchmarks.mllmu.tokenizer import train_tokenizer
from mllm.data.conversation import image, system, user
from mllm.data.processor import Processor, ProcessorConfig, read_tokenizer

PICTURE = image(b"of which only the place is read")


@pytest.fixture(scope="module")
def processor():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["USER: Where was Ada born?\nASSISTANT: London"], trainer)
    return Processor(ProcessorConfig(image_tokens=4, image_size=16), tokenizer)


def test_answers_come_back(processor):
    ids = processor.answer("Zürich, 1848")
    assert ids[-1] == processor.eos_id and processor.decode(ids) == "Zürich, 1848"


def test_save_and_load_keep_the_digest(processor, tmp_path):
    processor.save(tmp_path)
    assert Processor.load(tmp_path).digest == processor.digest
    (tmp_path / "processor.json").write_text('{"imagesize": 3}')
    with pytest.raises(ValueError, match=r"processor.json.*imagesize"):
        Processor.load(tmp_path)


def by_the_old_rule(processor, prefix: list, suffix: str) -> list[int]:
    """Parts encoded one by one: what byte-level tokenizers were trained with before."""
    encode = lambda text: processor.tokenizer.encode(text, add_special_tokens=False).ids  # noqa: E731
    ids = [processor.token_id("<s>")]
    for part in prefix:
        ids += (
            [processor.image_id] * processor.config.image_tokens if part is None else encode(part)
        )
    return ids + encode(suffix)


def test_the_benchmarks_texts_keep_the_ids_they_had(tmp_path):
    rows = generate(SIZES["small"], seed=0, draw_images=False)[0]
    profiles = [profile for split in rows.values() for profile in split]
    train_tokenizer(profiles, tmp_path / "tokenizer.json")
    processor = Processor(ProcessorConfig(), read_tokenizer(tmp_path / "tokenizer.json"))

    def prompt(*turns) -> list[int]:
        return list(processor.encode(turns, generate=True).ids)

    for profile in profiles[::7]:
        asked = [(q.question, q.answer) for q in profile.questions]
        asked += [(pair.question, pair.answer) for pair in profile.training]
        for question, answer in asked:
            told = f"\n{question}\nASSISTANT:"
            shown = by_the_old_rule(processor, ["USER: ", None], told)
            assert prompt(user(PICTURE, question)) == shown
            plain = by_the_old_rule(processor, [], f"USER: {question}\nASSISTANT:")
            assert prompt(user(question)) == plain
            warned = by_the_old_rule(processor, ["Be brief. USER: ", None], told)
            assert prompt(system("Be brief."), user(PICTURE, question)) == warned
            ids = processor.tokenizer.encode(f" {answer}", add_special_tokens=False).ids
            assert processor.answer(answer) == [*ids, processor.eos_id]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["London", "Zürich ☃", " twice  spaced", "", "1848"])
def test_an_answer_is_encoded_where_it_stands(kind, text):
    tokenizer = KINDS[kind]()
    processor = Processor(ProcessorConfig(bos=None), tokenizer)
    asked = processor.encode([user(PICTURE, "Where was Ada born?")], generate=True).ids
    whole = f"USER: <image>\nWhere was Ada born?\nASSISTANT: {text}"
    expected = tokenizer.encode(whole, add_special_tokens=False).ids
    place = expected.index(processor.image_id)
    expected[place : place + 1] = [processor.image_id] * 16
    assert [*asked, *processor.answer(text, ended=False)] == expected
    prompt, more = whole[: len(whole) - len(text) - 1], f" {text}"
    assert processor.continuation(prompt, more) == processor.answer(text, ended=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_across_the_border_leaves_the_prompt_as_it_was_read(kind):
    """ "Lond" and "on" share a token: what follows "Lond" is then "on", however encoded."""
    processor = Processor(ProcessorConfig(bos=None), KINDS[kind]())
    encode = lambda text: processor.tokenizer.encode(text, add_special_tokens=False).ids  # noqa: E731
    prompt = "ASSISTANT: Lond"
    assert encode(prompt + "on")[: len(encode(prompt))] != encode(prompt)
    ids = encode(prompt) + processor.continuation(prompt, "on")
    assert processor.decode(ids) == "ASSISTANT: London"


def test_a_layout_token_that_the_tokenizer_lacks_is_named():
    config = ProcessorConfig(chat_format="chatml", bos=None, eos="</s>", image=None)
    tokenizer = byte_level()
    assert Processor(config, tokenizer).encode([user("Who?")], generate=True).ids
    config = replace(config, image="<image>", image_block="idefics3", bos="<s>")
    config = replace(config, transform="idefics3", image_size=4, longest_edge=20, split=True)
    wide = io.BytesIO()
    Image.new("RGB", (20, 4)).save(wide, "PNG")  # five crops in a row
    processor = Processor(config, tokenizer)
    with pytest.raises(ValueError, match="no special token '<row_1_col_5>'"):
        processor.encode([user(image(wide.getvalue()), "Who?")], generate=True)
    with pytest.raises(ValueError, match=r"unknown image block 'idefix2'.*idefics2"):
        replace(config, image_block="idefix2")


def test_an_older_processor_json_is_read(processor, tmp_path):
    processor.save(tmp_path)
    old = dict(chat_format="llava", bos="<s>", eos="</s>", pad="<pad>", image="<image>")
    old |= dict(image_size=16, image_tokens=4)
    (tmp_path / "processor.json").write_text(json.dumps(old))
    assert Processor.load(tmp_path).config == processor.config
