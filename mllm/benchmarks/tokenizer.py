"""The tokenizer of a generated benchmark: byte-level BPE trained on its texts."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TOKENIZER = "tokenizer.json"  # its name in the folder of a data set
SPECIAL_TOKENS = ("<pad>", "<s>", "</s>", "<image>")  # ids 0 to 3


def train_tokenizer(
    texts: Iterable[str],
    path: str | Path,
    vocabulary: int,
    special: Sequence[str] = SPECIAL_TOKENS,
) -> None:
    """Train on texts and write tokenizer.json; the same texts give the same file.

    Args:
      vocabulary: tokens at most; a small corpus may yield fewer.
      special: tokens that stand for no text, the first of the vocabulary.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
