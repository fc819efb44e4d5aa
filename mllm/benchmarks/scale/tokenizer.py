"""The texts that the tokenizer of the benchmark is trained on."""

from collections.abc import Iterator

from mllm.benchmarks.scale.item import LETTERS, Item

VOCABULARY = 1536


def item_texts(item: Item) -> Iterator[str]:
    """Yield the texts of an item as prompts show them: context, questions, options, answers."""
    for part in item.layout:
        if isinstance(part, str):
            yield part
    yield from item.questions
    for letter, option in zip(LETTERS, item.options, strict=False):
        yield f"{letter}. {option}"
    for number, seconds in enumerate(item.times, 1):
        yield f"Frame {number} (t={seconds:.1f}s):"
    for number in range(1, len(item.pictures) + 1):
        yield f"Image {number}:"
    for answer in item.answers:
        yield f" {answer}"
