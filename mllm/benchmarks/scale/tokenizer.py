"""The tokenizer that belongs to a generated benchmark: byte-level BPE trained on its texts."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mllm.benchmarks.scale.item import LETTERS, Item

SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<image>")  # ids 0 to 3
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


def train_tokenizer(texts: Iterable[str], path: str | Path) -> None:
    """Train on texts and write tokenizer.json; the same texts give the same file.

    A small corpus may yield fewer than `VOCABULARY` tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
