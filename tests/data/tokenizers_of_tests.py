"""Small tokenizers of the kinds that published models have."""

import json

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXT = [
    "USER: Where was Ada born?\nASSISTANT: London. Who is the person in the picture?",
    "User: row 1 col 1, fake token around image. Assistant: Zürich, 1848",
]
SPECIAL = [
    "<unk>",
    "<s>",
    "</s>",
    "<pad>",
    "<image>",
    "<fake_token_around_image>",
    "<end_of_utterance>",
    "<|im_start|>",
    "<|im_end|>",
    "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)),
]


def byte_level(bos: bool = False) -> Tokenizer:
    """As GPT-2, SmolLM or Llama 3."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return _with_bos(tokenizer) if bos else tokenizer


def sentencepiece_like(scheme: str, bos: bool = True) -> Tokenizer:
    """As Llama 2 or Mistral: "prepend" with the normalizer of older files, else Metaspace with
    this ``prepend_scheme``.
    """
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    space, pieces = pre_tokenizers.Metaspace("▁", "always", split=True), []
    tokenizer.pre_tokenizer = space
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=[*SPECIAL, *pieces], show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    if scheme == "prepend":
        tokenizer.pre_tokenizer = None
        marks = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        tokenizer.normalizer = normalizers.Sequence(marks)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", scheme, split=False)
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)])
    content = json.loads(tokenizer.to_str())  # bytes are words of the vocabulary, not special
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] in SPECIAL]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    return _with_bos(tokenizer) if bos else tokenizer


def unigram() -> Tokenizer:
    """As T5 or Gemma's kind of SentencePiece: pieces with scores, no merges."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always")
    tokenizer.decoder = decoders.Metaspace("▁", "always")
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return _with_bos(tokenizer)


def _with_bos(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer


KINDS = {
    "byte level": lambda: byte_level(bos=True),
    "byte level without bos": byte_level,
    "metaspace first": lambda: sentencepiece_like("first"),
    "metaspace always": lambda: sentencepiece_like("always"),
    "prepend": lambda: sentencepiece_like("prepend"),
}
EXACT = {**KINDS, "unigram": unigram}  # whose small vocabulary lacks most characters
