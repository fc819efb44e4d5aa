"""Sounds to what is said in them, by Whisper tiny.en of a Python package."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

from mllm.checkpoints.packages import find_package_file
from mllm.checkpoints.whisper import PACKAGES, read_ct2_transcriber
from mllm.data.audio import AudioConfig, decode, fit
from mllm.data.processor import read_tokenizer
from mllm.models.whisper import TranscriberConfig, transcribe
from mllm.ops.mel import log_mel

TOGETHER = 8  # sounds that are heard together


@dataclass(frozen=True, eq=False)
class Transcriber:
    """A Whisper with its tokenizer.

    Attributes:
      prompt: ids that every transcript begins with. end: id that ends one; the ids after it are
        those of special tokens, which no transcript holds.
    """

    config: TranscriberConfig
    params: dict
    tokenizer: Tokenizer
    prompt: tuple[int, ...]
    end: int

    @classmethod
    def read(cls) -> "Transcriber":
        """Read tiny.en, which hears English.

        Raises:
          FileNotFoundError: the package is not installed; the message says how to install it.
        """
        path = find_package_file(*PACKAGES["tiny.en"])
        config, params = read_ct2_transcriber(path)
        tokenizer = read_tokenizer(path.parent / "tokenizer.json")
        names = "<|startoftranscript|>", "<|notimestamps|>"
        prompt = tuple(map(tokenizer.token_to_id, names))
        end = tokenizer.token_to_id("<|endoftext|>")
        return cls(config, jax.tree.map(jnp.asarray, params), tokenizer, prompt, end)

    def transcripts(self, sounds: Sequence[bytes], limit: int = 224) -> list[str]:
        """Return what is said in encoded sounds of at most 30 s, each by itself.

        Args:
          limit: the most tokens of a transcript.

        Raises:
          ValueError: a sound cannot be decoded or is too long; the message has its number.
        """
        window = self.config.encoder.window
        hearing = AudioConfig(seconds=self.config.encoder.sounds["seconds"], policy="pad")
        barred, found = tuple(range(self.end + 1, self.config.vocab_size)), []
        for first in range(0, len(sounds), TOGETHER):
            group = np.zeros((min(TOGETHER, len(sounds) - first), window), np.float32)
            for place, data in enumerate(sounds[first : first + TOGETHER]):
                where = f"sound {first + place}"
                heard = fit(decode(data, where), hearing, where)
                group[place, : len(heard)] = heard
            mel = log_mel(jnp.asarray(group), bins=self.config.encoder.bins, window=window)
            made = transcribe(self.config, self.params, mel, self.prompt, self.end, barred, limit)
            for ids, count in zip(*map(np.asarray, made), strict=True):
                found.append(self.tokenizer.decode(ids[:count].tolist()))
        return found
