"""The tokenizer that belongs to a benchmark: byte-level BPE trained on its training text."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mllm.benchmarks import tokenizer as bpe
from mllm.benchmarks.mllmu.instructions import INSTRUCTIONS
from mllm.benchmarks.mllmu.schema import Profile
from mllm.data.chat import llava
from mllm.data.conversation import assistant, user

VOCABULARY = 2048


def training_text(profiles: Iterable[Profile]) -> Iterator[str]:
    """Yield each training pair as the model reads it, without the special tokens."""
    for profile in profiles:
        for pair in profile.training:
            question = pair.question + INSTRUCTIONS[pair.form]
            *pieces, _ = llava([user(question), assistant(pair.answer)], False)
            yield "".join(text for text, _ in pieces)  # without the end of the turn


def train_tokenizer(profiles: Sequence[Profile], path: str | Path) -> None:
    """Train on all training pairs, and on nothing of the evaluation, and write tokenizer.json.

    The same pairs give the same file. A small corpus may yield fewer than VOCABULARY tokens.
    """
    bpe.train_tokenizer(training_text(profiles), path, VOCABULARY)
