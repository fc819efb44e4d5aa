"""What a model is asked, letter by letter: the `strict` protocol.

Zero-shot. Multiple choice is asked three times: the plain question, whose options are scored by
their text; the question with lettered options, whose letters are scored; and the same, answered
freely. Cloze and generation carry the short instruction that training pairs of their form carry.
Greedy decoding; every reply is kept as it came.
"""

from dataclasses import dataclass

from mllm.data.prompts import INSTRUCTIONS

LETTER_INSTRUCTION = "Answer with one letter."


@dataclass(frozen=True)
class Protocol:
    """Attributes:
    name: goes into every result.
    max_new_tokens: by task, for the free reply.
    profiles: images whose prefixes are computed together, 0 for as many as memory holds.
    """

    name: str = "strict"
    classification_tokens: int = 16
    cloze_tokens: int = 16
    generation_tokens: int = 48
    profiles: int = 0

    def __post_init__(self):
        if self.name != "strict":
            raise ValueError(f"unknown protocol {self.name!r} (known: strict)")

    def max_new_tokens(self, task: str) -> int:
        return getattr(self, f"{task}_tokens")

    def digest_fields(self) -> dict:
        """What must be equal for two replies to be comparable."""
        return {
            "name": self.name,
            **{
                task: self.max_new_tokens(task)
                for task in ("classification", "cloze", "generation")
            },
        }


def plain_question(question: str, task: str) -> str:
    """The question as it is put for a free answer, or for options scored by their text."""
    form = {"classification": "plain", "cloze": "blank", "generation": "sentence"}[task]
    return question + INSTRUCTIONS[form]


def lettered_question(question: str, options: dict[str, str]) -> str:
    """The question with its options behind letters, one a line."""
    lines = [question, *(f"{letter}: {text}" for letter, text in options.items())]
    return "\n".join([*lines, LETTER_INSTRUCTION])
