"""Items as conversations: labels of pictures, wordings, options and instructions.

Source of the instructions: the prompts of LLaVA-1.5 (Liu et al. 2024, arXiv:2310.03744).
"""

import io
import math
import random

from PIL import Image

from mllm.benchmarks.scale.item import LETTERS, Item
from mllm.data.conversation import Part, Turn, assistant, image, user

LETTER = "Answer with the option's letter from the given choices directly."
SHORT = "Answer the question using a single word or phrase."
INSTRUCTIONS = {
    "yes_no": "Answer yes or no.",
    "number": "Answer with a number.",
    "box": "Answer with [x0, y0, x1, y1] in percent.",
    "order": "Answer with the numbers in order.",
    "text": SHORT,
    "transcript": SHORT,
    "format": "",  # the question holds its own rule
    "choice": "",  # options scored by their text stand in no prompt
}
SEEN = ("seen", "Name what you see.")  # a form that is taught and never asked
PICTURES = ("native", "montage")


def context(item: Item, pictures: str = "native") -> tuple[Part, ...]:
    """Return what stands before the question: the pictures, labelled, and the texts of the item.

    Args:
      pictures: "native" shows each picture by itself; "montage" shows all of them as one, row by
        row, for models that were taught with a single picture.
    """
    if pictures == "montage" and len(item.pictures) > 1:
        texts = [part for part in item.layout if isinstance(part, str)]
        return (image(montage(item.pictures)), *texts)
    parts: list[Part] = []
    for part in item.layout:
        if isinstance(part, str):
            parts.append(part)
        else:
            parts += [*label(item, part), image(item.pictures[part])]
    return tuple(parts)


def label(item: Item, number: int) -> list[str]:
    """Return the label of a picture, none where there is a single one."""
    if item.format == "frames":
        seconds = f" (t={item.times[number]:g}s)" if item.times else ""
        return [f"Frame {number + 1}{seconds}:"]
    return [] if len(item.pictures) == 1 else [f"Image {number + 1}:"]


def montage(pictures: tuple[bytes, ...]) -> bytes:
    """Return one PNG that shows all pictures in a grid, in reading order, with a thin gap."""
    tiles = [Image.open(io.BytesIO(data)).convert("RGB") for data in pictures]
    columns = math.ceil(math.sqrt(len(tiles)))
    width, height = (max(tile.size[axis] for tile in tiles) for axis in (0, 1))
    gap = max(2, width // 32)
    rows = math.ceil(len(tiles) / columns)
    size = columns * (width + gap) - gap, rows * (height + gap) - gap
    sheet = Image.new("RGB", size, "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (column * (width + gap), row * (height + gap)))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def option_order(item: Item, variant: int) -> tuple[str, ...]:
    """Return the options in the order of a variant: 0 keeps that of the item, others shuffle it."""
    options = list(item.options)
    if variant:
        random.Random(f"{item.id}/options/{variant}").shuffle(options)
    return tuple(options)


def question(item: Item, form: str, variant: int = 0) -> str:
    """Return the question with its options and instruction.

    Args:
      form: "options" asks so that an option's text may follow, "letter" shows the options with
        letters, "reply" asks for a free answer, "seen" for the names of what the pictures show.
      variant: number of the wording, and of the order of the options.
    """
    if form == SEEN[0]:
        return SEEN[1]
    asked = item.questions[variant % len(item.questions)]
    if form == "letter":
        letters = zip(LETTERS, option_order(item, variant), strict=False)
        return "\n".join([asked, *(f"{letter}. {text}" for letter, text in letters), LETTER])
    instruction = INSTRUCTIONS[item.kind]
    return f"{asked}\n{instruction}" if instruction else asked


def asked_turns(
    item: Item, form: str, variant: int = 0, pictures: str = "native"
) -> tuple[Turn, ...]:
    """Return the conversation that ends with the question."""
    return (user(*context(item, pictures), question(item, form, variant)),)


def answer(item: Item, form: str, variant: int = 0) -> str:
    """Return the right answer in a form."""
    if form == SEEN[0]:
        return ", ".join(item.objects)
    if form != "letter":
        return item.answers[0]
    return LETTERS[option_order(item, variant).index(item.answers[0])]


def forms_of(item: Item) -> tuple[str, ...]:
    """Return the forms in which an item is asked."""
    return ("options", "letter") if item.kind == "choice" else ("reply",)


def taught_turns(item: Item, form: str, variant: int = 0) -> tuple[Turn, ...]:
    """Return the conversation to learn from: the question and the right answer."""
    return (*asked_turns(item, form, variant), assistant(answer(item, form, variant)))
