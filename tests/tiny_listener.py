"""Folders of small random Qwen2-Audio models, as transformers writes them, and sounds to show."""

import io
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import soundfile
import torch
import transformers
from published_folders import randomise
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

RATE = 16_000
POSITIONS = 100  # of the encoder, which then hears 2 s
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>"]
SPECIAL += ["<|audio_bos|>", "<|audio_eos|>", "<image>"]
WORDS = "system user assistant You are a helpful. Audio 1: What do you hear? A bird sings, yes. no."


def make_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE with the special tokens of Qwen2-Audio."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL[1:],
    )


def write_folder(folder: Path, seed: int = 0, processor: bool = True, **text):
    """Write a folder and return transformers' model of it.

    Args:
      text: options of the decoder.
    """
    config = transformers.Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 16,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 24,
            "d_model": 16,
            "max_source_positions": POSITIONS,
        },
        text_config={
            "model_type": "qwen2",
            "vocab_size": 340,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "eos_token_id": 2,
            "pad_token_id": 0,
            **text,
        },
        audio_token_index=SPECIAL.index("<|AUDIO|>"),
    )
    model = randomise(transformers.Qwen2AudioForConditionalGeneration(config), seed)
    model.save_pretrained(folder)
    if processor:
        make_processor().save_pretrained(folder)
    return model


def make_processor():
    extractor = transformers.WhisperFeatureExtractor(
        feature_size=16, chunk_length=2 * POSITIONS // 100, return_attention_mask=True
    )
    return transformers.Qwen2AudioProcessor(extractor, make_tokenizer())


def sound(seconds: float, seed: int = 0, pitch: float = 440.0) -> np.ndarray:
    """Return a noisy tone, float32 at 16 kHz."""
    t = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return (0.3 * np.sin(2 * np.pi * pitch * t) + 0.05 * noise).astype(np.float32)


def as_file(samples: np.ndarray, rate: int = RATE, subtype: str = "FLOAT", **options) -> bytes:
    """Return a sound as the bytes of a file, by default a WAV that holds it exactly."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=options.pop("format", "WAV"))
    return file.getvalue()


def logits(model, **inputs) -> np.ndarray:
    with torch.no_grad():
        return model(**inputs).logits.numpy()
