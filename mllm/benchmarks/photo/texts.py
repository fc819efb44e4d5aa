"""The texts that the tokenizer of the benchmark is trained on."""

from collections.abc import Iterator

from mllm.benchmarks.photo.attributes import ATTRIBUTES
from mllm.benchmarks.photo.draw import KINDS
from mllm.benchmarks.photo.photographs import photographs
from mllm.benchmarks.photo.prompts import LETTER, LETTERS, LOOK
from mllm.benchmarks.photo.taxonomy import TOPICS
from mllm.benchmarks.photo.words import (
    ABOUT,
    DESCRIBE,
    IMPROVE,
    NO_ADVICE,
    NO_FAULT,
    WEAKNESSES,
    statement,
)

VOCABULARY = 2048


def texts() -> Iterator[str]:
    """Yield all that is asked and said of generated pictures."""
    for name, attribute in ATTRIBUTES.items():
        yield from attribute.questions
        for value in attribute.values:
            yield from (f"{letter}. {value}\n" for letter in LETTERS)
            yield from (f" {value}", statement(name, value))
        yield from attribute.advice.values()
    yield from (*DESCRIBE, *WEAKNESSES, *IMPROVE, NO_FAULT, NO_ADVICE)
    yield from (ABOUT.format(topic) for topic in TOPICS)
    for shown in (*KINDS.values(), *photographs().values()):
        yield f"A photo of {shown.title}."
    yield from (f" {letter}" for letter in LETTERS)
    yield f"USER: {LOOK}\n{LETTER}\nASSISTANT: "
