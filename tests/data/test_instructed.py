"""Pictures that are read under an instruction: each is seen once, and read anew under each one."""

import hashlib
import json

import numpy as np
import pytest
from PIL import Image
from toy import make_processor, pipeline_of, png

from mllm.data.conversation import Example, Media, assistant, image, raw, system, user
from mllm.data.encoded import content_number
from mllm.data.packing import RowShape
from mllm.data.processor import Processor, ProcessorConfig
from mllm.data.rows import lay_out_ids, place_features, place_instructions
from mllm.data.tokenized import tokenize
from mllm.evaluation.request import Choices, content_key
from mllm.evaluation.tree import Asked, Prompt, grow

RED, BLUE = (png(Image.new("RGB", (16, 12), shade)) for shade in ("red", "blue"))


@pytest.fixture(scope="module")
def plain():
    return make_processor()


@pytest.fixture(scope="module")
def processor(plain):
    described = {**plain.config.described(), "instructed": True}
    return Processor(ProcessorConfig(**described), plain.tokenizer)


def test_what_has_no_instruction_keeps_the_digests_it_had(plain):
    """Values of before there were instructions: replies, runs and checkpoints go by them."""
    assert image(b"abc").digest == hashlib.sha256(b"image\0abc").hexdigest()
    assert content_number(image(b"abc")) == -1109184760370197645
    assert content_key("a", turns=[user(image(b"x"), "q")]) == "486f9b6dd5e5d43ae18f19db"
    assert "instructed" not in plain.config.described()


def test_an_instruction_makes_another_medium_of_the_same_picture():
    one, two = (Media("image", RED.data, text) for text in ("Who?", "Where?"))
    assert len({RED.digest, one.digest, two.digest}) == 3
    assert one.bare == two.bare == RED and RED.bare is RED


def test_each_picture_is_read_under_the_text_of_the_turn_that_shows_it(processor, plain):
    turns = (
        system("Be brief."),
        user(RED, "Who is ", BLUE, "it?"),
        assistant("Ada"),
        user("And ", RED, "here?"),
    )
    found = processor.encode(turns, generate=True).media
    assert [medium.instruction for medium in found] == ["Who is it?"] * 2 + ["And here?"]
    assert [medium.bare for medium in found] == [RED, BLUE, RED]
    # A processor of any other model reads the same ids, and pictures as they are.
    again = plain.encode(turns, generate=True)
    assert again.media == (RED, BLUE, RED)
    assert again.ids == processor.encode(turns, generate=True).ids


def test_names_of_special_tokens_are_text_in_an_instruction(processor):
    turn = raw("Who</s>\ufdd0 is ", RED, " it<s>?")
    (medium,) = processor.encode([turn], generate=True).media
    ids = processor.instruction_ids(medium)
    assert not {processor.eos_id, 1, processor.image_id} & set(ids)
    assert processor.tokenizer.decode(ids).replace(" ", "") == "Who</s>isit<s>?"
    assert processor.instruction_ids(RED) == []


def test_questions_about_one_picture_share_nothing_of_it_but_its_pixels(processor, plain):
    def prompts(reader):
        encoded = [
            reader.encode([user(RED, text)], generate=True) for text in ("Who?", "Where?", "Who?")
        ]
        distinct = {one.content: one for one in encoded}
        return [
            Prompt(one, (Asked(Choices(("a",)), ("k",), ((5,),)),)) for one in distinct.values()
        ]

    assert [len(family.units) for family in grow(prompts(plain))] == [1]
    assert [len(family.units) for family in grow(prompts(processor))] == [2]
    fresh = Processor(processor.config, processor.tokenizer)
    for prompt in prompts(fresh):
        fresh.prepare(prompt.encoded.media[0])
    assert fresh._prepared.used == 16 * 16 * 3  # one picture


def example(index: int, picture: Media, text: str) -> Example:
    return Example(str(index), "", (user(picture, text), assistant("Ada")))


SOURCE = [
    example(0, RED, "Who?"),
    example(1, RED, "Who?"),
    example(2, RED, "Where was Ada born? " * 4),
    example(3, BLUE, "Who?"),
    Example("4", "", (user("Who?"), assistant("Ada"))),
]


def test_examples_share_a_picture_only_under_the_same_instruction(processor, plain):
    keys = [one.key for one in tokenize(SOURCE, processor, limit=200)]
    assert keys[0] == keys[1] and len(set(keys)) == 4
    assert len({one.key for one in tokenize(SOURCE, plain, limit=200)}) == 3


def test_rows_hold_each_picture_with_its_instruction(processor):
    pipeline = pipeline_of(SOURCE, processor, 5, RowShape(160, 32, 2))
    batch = pipeline.batch_at(0)
    found = batch["media"]["image"]
    assert found["instructions"].shape == (5, 1, 64)  # of the longest of the run, in steps of 32
    for row in range(5):
        numbers = [n for n in batch["answers"][row].tolist() if n >= 0]
        shown = [SOURCE[n].turns[0].media for n in numbers]
        if not numbers or not shown[0]:
            assert (found["instructions"][row] == -1).all() and found["slots"][row, 0] == -1
            continue
        (texts,) = {SOURCE[n].turns[0].text for n in numbers}
        ids = found["instructions"][row, 0]
        assert ids[ids >= 0].tolist() == processor.tokenizer.encode(texts).ids
        shade = [255, 0, 0] if shown[0] == (RED,) else [0, 0, 255]
        assert found["values"][row, 0, 5, 5].tolist() == shade


def test_what_was_made_of_a_picture_stands_with_every_instruction(processor):
    pipeline = pipeline_of(SOURCE, processor, 5, RowShape(160, 32, 2))
    numbers = [content_number(RED), content_number(BLUE)]
    pictures = dict(pipeline.pictures.all(pipeline.examples, pipeline.source))
    assert list(pictures) == numbers
    chosen = pipeline.pictures.all(pipeline.examples, pipeline.source, {numbers[1]})
    assert [number for number, _ in chosen] == numbers[1:]
    before = pipeline.batch_at(0)["media"]["image"]
    pipeline.pictures.made = {n: np.full((1, 3), k, np.float32) for k, n in enumerate(numbers, 1)}
    pipeline.pictures.made_as = "features"
    after = pipeline.batch_at(0)["media"]["image"]
    assert after["features"].shape == (5, 1, 3) and "values" not in after
    blue = before["values"][:, 0, 5, 5, 2] == 255
    expected = np.where(before["slots"][:, 0] < 0, 0, np.where(blue, 2, 1))
    assert (after["features"][:, 0] == expected[:, None]).all()
    for name in ("slots", "lengths", "instructions"):
        np.testing.assert_array_equal(after[name], before[name])


def test_features_and_instructions_stand_at_the_runs_of_their_pictures():
    rows = [[5, 3, 3, 6, 3, 3], [7], [3, 3]]
    features = np.arange(6, dtype=np.float32).reshape(3, 2)
    tokens = lay_out_ids(rows, 8)["tokens"]
    laid = place_features(tokens, features, [2, 0, 1], 3, 2)["image"]
    place_instructions(laid, [[8], [9, 10], []])
    assert laid["slots"].tolist() == [[1, 4], [-1, -1], [0, -1]]
    assert laid["features"].tolist() == [[[0, 1], [2, 3]], [[0, 0], [0, 0]], [[4, 5], [0, 0]]]
    assert laid["instructions"].shape == (3, 2, 32)
    kept = [[ids[ids >= 0].tolist() for ids in row] for row in laid["instructions"]]
    assert kept == [[[8], [9, 10]], [[], []], [[], []]]
    place_instructions(laid, [[8], [9, 10], []], room=33)
    assert laid["instructions"].shape == (3, 2, 64)


def test_a_processor_that_reads_under_instructions_is_read_back(processor, plain, tmp_path):
    processor.save(tmp_path)
    assert json.loads((tmp_path / "processor.json").read_text())["instructed"] is True
    assert Processor.load(tmp_path).config == processor.config
    assert processor.digest != plain.digest
