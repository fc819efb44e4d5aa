"""The published instructions, and samples as conversations.

Source of the strings: the configs of CoBSAT's repository (yzeng58/CoBSAT), with their spaces and
spelling. Instructions by default depend on the model; those of the other prompt types do not.
"""

from collections.abc import Callable
from typing import NamedTuple

from mllm.benchmarks.cobsat.assemble import Caption, Picture, Segment, assemble, query_unit
from mllm.benchmarks.cobsat.prompt_lists import Sample
from mllm.benchmarks.cobsat.tasks import Pair
from mllm.data.conversation import Media, Part, Turn, assistant, user
from mllm.registry import lookup

MODES = ("image", "text")


class Strings(NamedTuple):
    """What stands before and after the sequence of a prompt."""

    prefix: str = ""
    suffix: str = ""


_DESCRIBE = (
    "Based on the sequence, describe the next image clearly, including details such as the main "
    "object, color, texture, background, action, style, if applicable. "
)
_DIRECTLY = (
    "Based on the sequence, describe what the next image should be clearly, including details such "
    "as the main object, color, texture, background, action, style, if applicable. Your response "
    "should only contain a description of the image, and all other information can cause huge loss."
)
_GENERATED = (
    "\nBased on the sequence, describe the next image to be generated clearly, including details "
    "such as the main object, color, texture, background, action, style, if applicable. "
)
DEFAULT: dict[str, dict[str, Strings]] = {
    "image": {
        "seed": Strings(),
        "emu": Strings(),
        "emu2": Strings(),
        "gill": Strings(
            "You are a professional assistant can generate a new image based on the seqeunce. "
        ),
    },
    "text": {
        "seed": Strings(
            "I will provide you a few examples with text and image. Complete the example with the "
            "description of next image. Tell me only the text prompt and I'll use your entire "
            "answer as a direct input to A Dalle-3. Never say other explanations. "
        ),
        "gpt4v": Strings(
            "I will provide you with a few examples with text and images. Complete the example "
            "with the description of the next image. The description should be clear with main "
            "object, and include details such as color, texture, background, style, and action, if "
            "applicable. Tell me only the text prompt and I'll use your entire answer as a direct "
            "input to A Dalle-3. Never say other explanations. "
        ),
        "qwen": Strings("", f"\n{_DIRECTLY} "),
        "llava": Strings("", _GENERATED),
        "llava16": Strings("", _GENERATED),
        "emu": Strings(_DESCRIBE),
        "emu2": Strings("", _DESCRIBE),
        "gemini": Strings("", _DESCRIBE),
        "gill": Strings(
            "You are a professional assistant and always answer my question directly and perfectly "
            "without any excuses.",
            _DIRECTLY,
        ),
        "claude": Strings(
            "I will provide you a few examples with text and image. Complete the example with the "
            "description of next image. Never say other explanations. ",
            "Give me the description of the your predicted next image.",
        ),
    },
}
CAPTION = {
    "image": "We provide a few examples, each with an input, and an output of the image "
    "description. Based on the examples, predict the next image description and visualize it. ",
    "text": "We provide a few examples, each with an input, and an output of the image "
    "description. Based on the examples, predict the next image description. ",
}


class Relation(NamedTuple):
    """How an instruction names what a task's pictures share and what is asked for.

    Attributes:
      common: what they share; for text mode, ``common_text`` where that differs.
      drawn: what the next picture shows. described: what its description contains.
    """

    common: str
    drawn: str
    described: tuple[str, str]
    common_text: str = ""


RELATIONS: dict[int, Relation] = {
    1: Relation(
        "main object",
        "this object of the requested color",
        ("the common main object", "the requested color"),
    ),
    2: Relation(
        "color",
        "the requested object in the same color",
        ("the requested object", "the common color"),
        "main color",
    ),
    3: Relation(
        "animal",
        "this animal walking in the requested background",
        ("the common animal", "the requested background"),
    ),
    4: Relation(
        "background",
        "the requested animal walking in the same background",
        ("the requested animal", "the common background"),
    ),
    5: Relation(
        "object",
        "this object in the requested style",
        ("the common object", "the requested style"),
    ),
    6: Relation(
        "style",
        "the requested object in the same style",
        ("the requested object", "the common style"),
    ),
    7: Relation(
        "animal",
        "this animal doing the requested action",
        ("the common animal", "the requested action"),
    ),
    8: Relation(
        "action/mood the animal is doing",
        "the requested animal doing the same action/mood",
        ("the requested animal", "the common action/mood"),
    ),
    9: Relation(
        "main object",
        "this object of the requested texture",
        ("the common main object", "the requested texture"),
    ),
    10: Relation(
        "texture of the objects",
        "the requested object in the same texture",
        ("the requested object", "the common texture"),
    ),
}
COT = Strings(
    "We provide a few examples, each of which is an input-output pair where the output is a "
    "description of the image associated with the input. Based on the examples, the task is to "
    "predict the next image description.\n\n\n",
    "\n\n\nBefore predicting the next image, let's think step by step and analyze what the "
    "relationship between the text input and image output in each example is first. \n\n\n",
)
COT_SECOND = {
    "image": "\n\n\nBased on the analysis, please generate the next image given the request ",
    "text": "\n\n\nBased on the analysis, please describe what the next image should be look like "
    "given the request ",
}

Show = Callable[[Pair], Part]


def instruction(task: int, mode: str) -> str:
    """Return what an "instruct" prompt begins with."""
    relation = RELATIONS[task]
    if mode == "image":
        return (
            f"Please identify the common {relation.common} in the images, and generate another "
            f"image of {relation.drawn}. "
        )
    first, second = relation.described
    return (
        f"Please identify the common {relation.common_text or relation.common} in the images, and "
        "describe the next image to be generated based on the sequence below. Your description of "
        f"image should contain the description of {first} and {second}. "
    )


def strings(task: int, prompt_type: str, mode: str, style: str) -> Strings:
    """Return what stands before and after the sequence, in the first turn.

    Args:
      style: whose strings a "default", "misleading" or "exact" prompt has, a key of ``DEFAULT``.

    Raises:
      ValueError: no strings are published for the style in this mode.
    """
    lookup(DEFAULT, mode, "mode")
    if prompt_type == "instruct":
        return Strings(instruction(task, mode))
    if prompt_type == "caption":
        return Strings(CAPTION[mode])
    if prompt_type == "cot":
        return COT
    return lookup(DEFAULT[mode], style, f"style of prompts in {mode} mode")


def first_turn(
    sample: Sample, prompt_type: str, mode: str, style: str, picture: Show, caption: Show
) -> Turn:
    """Return the first turn of a prompt; for a chain of thought, the one that asks for an analysis.

    Args:
      picture, caption: return the picture of a pair, and its caption.
    """
    prefix, suffix = strings(sample.task.id, prompt_type, mode, style)
    parts: list[Part] = [prefix]
    for segment in assemble(sample, prompt_type):
        parts.append(_part(segment, picture, caption))
    return user(*_joined([*parts, suffix]))


def second_turn(sample: Sample, mode: str) -> Turn:
    """Return the turn that follows the analysis of a chain of thought."""
    return user(f"{COT_SECOND[mode]}'{query_unit(sample, 'cot')}'.")


def after_analysis(first: Turn, analysis: str, sample: Sample, mode: str) -> tuple[Turn, ...]:
    """Return the conversation that asks for the answer of a chain of thought.

    It continues the first turn, so what that one read is read once for both modes.
    """
    return first, assistant(analysis), second_turn(sample, mode)


def _part(segment: Segment, picture: Show, caption: Show) -> Part:
    if isinstance(segment, Picture):
        return picture(segment.pair)
    if isinstance(segment, Caption):
        return f"{caption(segment.pair)} "
    return segment.text


def _joined(parts: list[Part]) -> list[Part]:
    """Return the parts with neighbouring texts made one, and empty ones left out."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, Media) or not found or isinstance(found[-1], Media):
            found.append(part)
        else:
            found[-1] += part
    return [part for part in found if part != ""]
