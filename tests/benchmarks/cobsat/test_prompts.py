"""Whole prompts, letter by letter as published (quoted in the specification, A.4)."""

import pytest

from mllm.benchmarks.cobsat import prompts
from mllm.benchmarks.cobsat.assemble import PROMPT_TYPES
from mllm.benchmarks.cobsat.prompt_lists import sample
from mllm.data.conversation import Media, assistant, image, user

# Task 1, 2 shots, record 0 of the published list: blue, brown -> orange, of a car.
SAMPLE = sample(1, 2, 0)


def picture(pair):
    return image("/".join(pair).encode())


def caption(pair):
    return f"A {pair.detail} {pair.object}."


def written(prompt_type, mode, style, of=SAMPLE):
    turn = prompts.first_turn(of, prompt_type, mode, style, picture, caption)
    assert turn.role == "user" and "" not in turn.parts
    shown = (p if isinstance(p, str) else f"<{p.data.decode()}>" for p in turn.parts)
    return "".join(shown)


SEQUENCE = "blue: <color/blue/car>brown: <color/brown/car>orange: "
EXPECTED = {
    ("default", "image", "seed"): SEQUENCE,
    ("default", "image", "gill"): "You are a professional assistant can generate a new image based "
    f"on the seqeunce. {SEQUENCE}",
    ("default", "text", "seed"): "I will provide you a few examples with text and image. Complete "
    "the example with the description of next image. Tell me only the text prompt and I'll use "
    "your entire answer as a direct input to A Dalle-3. Never say other explanations. " + SEQUENCE,
    ("default", "text", "gpt4v"): "I will provide you with a few examples with text and images. "
    "Complete the example with the description of the next image. The description should be clear "
    "with main object, and include details such as color, texture, background, style, and action, "
    "if applicable. Tell me only the text prompt and I'll use your entire answer as a direct input "
    "to A Dalle-3. Never say other explanations. " + SEQUENCE,
    ("default", "text", "qwen"): f"{SEQUENCE}\nBased on the sequence, describe what the next image "
    "should be clearly, including details such as the main object, color, texture, background, "
    "action, style, if applicable. Your response should only contain a description of the image, "
    "and all other information can cause huge loss. ",
    ("default", "text", "llava"): f"{SEQUENCE}\nBased on the sequence, describe the next image to "
    "be generated clearly, including details such as the main object, color, texture, background, "
    "action, style, if applicable. ",
    ("default", "text", "gemini"): f"{SEQUENCE}Based on the sequence, describe the next image "
    "clearly, including details such as the main object, color, texture, background, action, "
    "style, if applicable. ",
    ("default", "text", "emu"): "Based on the sequence, describe the next image clearly, including "
    "details such as the main object, color, texture, background, action, style, if applicable. "
    + SEQUENCE,
    ("default", "text", "gill"): "You are a professional assistant and always answer my question "
    f"directly and perfectly without any excuses.{SEQUENCE}Based on the sequence, describe what "
    "the next image should be clearly, including details such as the main object, color, texture, "
    "background, action, style, if applicable. Your response should only contain a description of "
    "the image, and all other information can cause huge loss.",
    ("default", "text", "claude"): "I will provide you a few examples with text and image. "
    f"Complete the example with the description of next image. Never say other explanations. "
    f"{SEQUENCE}Give me the description of the your predicted next image.",
    ("misleading", "image", "seed"): "blue {}: <color/blue/car>brown {}: <color/brown/car>"
    "orange {}: ".format(*SAMPLE.wrong),
    ("exact", "image", "seed"): "blue car: <color/blue/car>brown car: <color/brown/car>"
    "orange car: ",
    ("caption", "image", "seed"): "We provide a few examples, each with an input, and an output of "
    "the image description. Based on the examples, predict the next image description and "
    "visualize it. blue: A blue car. brown: A brown car. orange: ",
    ("caption", "text", "llava"): "We provide a few examples, each with an input, and an output of "
    "the image description. Based on the examples, predict the next image description. "
    "blue: A blue car. brown: A brown car. orange: ",
    ("cot", "text", "llava"): "We provide a few examples, each of which is an input-output pair "
    "where the output is a description of the image associated with the input. Based on the "
    "examples, the task is to predict the next image description.\n\n\n" + SEQUENCE + "\n\n\n"
    "Before predicting the next image, let's think step by step and analyze what the relationship "
    "between the text input and image output in each example is first. \n\n\n",
}
IMAGE = "Please identify the common {} in the images, and generate another image of {}. "
TEXT = (
    "Please identify the common {} in the images, and describe the next image to be generated "
    "based on the sequence below. Your description of image should contain the description of {} "
    "and {}. "
)
# The columns A, B and C, D of the published table.
INSTRUCTIONS = """
main object|this object of the requested color|the common main object, the requested color
color|the requested object in the same color|the requested object, the common color
animal|this animal walking in the requested background|the common animal, the requested background
background|the requested animal walking in the same background|the requested animal, \
the common background
object|this object in the requested style|the common object, the requested style
style|the requested object in the same style|the requested object, the common style
animal|this animal doing the requested action|the common animal, the requested action
action/mood the animal is doing|the requested animal doing the same action/mood|\
the requested animal, the common action/mood
main object|this object of the requested texture|the common main object, the requested texture
texture of the objects|the requested object in the same texture|the requested object, \
the common texture
"""


@pytest.mark.parametrize("case", EXPECTED, ids="-".join)
def test_a_prompt_is_the_published_one(case):
    assert written(*case) == EXPECTED[case]


def test_instructions_are_those_of_the_table():
    rows = [line.split("|") for line in INSTRUCTIONS.strip().split("\n")]
    for task, (common, drawn, described) in enumerate(rows, 1):
        assert prompts.instruction(task, "image") == IMAGE.format(common, drawn)
        common = "main color" if task == 2 else common
        assert prompts.instruction(task, "text") == TEXT.format(common, *described.split(", "))
        of = sample(task, 2, 0)
        for mode, style in (("image", "gill"), ("text", "qwen")):
            plain = written("default", "image", "seed", of)
            assert written("instruct", mode, style, of) == prompts.instruction(task, mode) + plain


def test_the_second_turn_goes_on_with_the_first():
    first = user("a")
    found = prompts.after_analysis(first, "They share a car.", SAMPLE, "image")
    assert found == (
        first,
        assistant("They share a car."),
        user(
            "\n\n\nBased on the analysis, please generate the next image given the request "
            "'orange: '."
        ),
    )
    assert prompts.second_turn(SAMPLE, "text") == user(
        "\n\n\nBased on the analysis, please describe what the next image should be look like "
        "given the request 'orange: '."
    )


@pytest.mark.parametrize("shots", [2, 4, 6, 8])
@pytest.mark.parametrize("prompt_type", PROMPT_TYPES)
def test_a_prompt_shows_one_picture_a_shot_between_texts(shots, prompt_type):
    of = sample(8, shots, 5)
    turn = prompts.first_turn(of, prompt_type, "text", "llava", picture, caption)
    if prompt_type == "caption":
        assert [type(part) for part in turn.parts] == [str]
        return
    assert [isinstance(part, Media) for part in turn.parts] == [False, True] * shots + [False]


def test_a_style_without_strings_is_refused():
    with pytest.raises(ValueError, match="style of prompts in image mode 'llava'"):
        prompts.strings(1, "default", "image", "llava")
