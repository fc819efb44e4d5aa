"""Read and write the settings of the feature extractor of a Hugging Face folder: Whisper's."""

from pathlib import Path

from mllm.data.audio import HOP, RATE, AudioConfig
from mllm.files import read_json

EXTRACTOR = "WhisperFeatureExtractor"
FIXED = {"sampling_rate": RATE, "hop_length": HOP, "n_fft": 400, "padding_value": 0.0}
FIXED |= {"dither": 0.0}
POOL = 2  # Qwen2AudioProcessor counts two steps of the encoder as a token


def read_sound_settings(folder: Path) -> tuple[Path, dict]:
    """Return (file, settings of the feature extractor).

    Raises:
      FileNotFoundError: neither of the two files that may hold them is there.
    """
    nested, plain = folder / "processor_config.json", folder / "preprocessor_config.json"
    settings = read_json(nested).get("feature_extractor") if nested.is_file() else None
    if isinstance(settings, dict):
        return nested, settings
    if not plain.is_file():
        raise FileNotFoundError(f"{plain}: no such file, nor 'feature_extractor' in {nested.name}")
    return plain, read_json(plain)


def read_sounds(folder: Path) -> AudioConfig:
    """Return how the processor of a folder prepares and writes sounds.

    Raises:
      FileNotFoundError, ValueError: the message names the file, the key, found and expected.
    """
    where, settings = read_sound_settings(folder)
    kind = settings.get("feature_extractor_type", EXTRACTOR)
    if kind != EXTRACTOR:
        raise ValueError(f"{where}: feature_extractor_type is {kind!r}, expected {EXTRACTOR!r}")
    for key, expected in FIXED.items():
        if (found := settings.get(key, expected)) != expected:
            raise ValueError(f"{where}: {key} is {found!r}, expected {expected!r}")
    seconds = settings.get("chunk_length", 30)
    if type(seconds) not in (int, float) or seconds <= 0:
        raise ValueError(f"{where}: chunk_length is {seconds!r}, expected a number of seconds")
    nested = folder / "processor_config.json"
    names = read_json(nested) if nested.is_file() else {}
    keys = {"token": "audio_token", "begin": "audio_bos_token", "end": "audio_eos_token"}
    own = {ours: names[key] for ours, key in keys.items() if isinstance(names.get(key), str)}
    return AudioConfig(**own, seconds=float(seconds), policy="crop", pool=POOL)


def read_bins(folder: Path) -> int:
    """Return the mel bins of a folder's feature extractor."""
    return read_sound_settings(folder)[1].get("feature_size", 80)


def write_sounds(folder: Path, config: AudioConfig, tower) -> dict:
    """Return the settings of the feature extractor that makes what a model hears.

    Args:
      tower: the config of the encoder, whose ``bins`` are written.

    Raises:
      ValueError: no folder of Qwen2-Audio prepares sounds in this way.
    """
    names = config.token, config.begin, config.end
    published = AudioConfig()
    fits = names == (published.token, published.begin, published.end)
    if not fits or config.policy != "crop" or config.tokens or config.pool != POOL:
        raise ValueError(
            f"{folder}: sounds are prepared by {config}, expected the tokens {published.token}, "
            f"{published.begin} and {published.end}, policy 'crop' and a pool of {POOL} steps, as "
            "Qwen2AudioProcessor does"
        )
    if config.window % RATE:
        raise ValueError(f"{folder}: hears {config.seconds} s, expected whole seconds")
    return {
        **FIXED,
        "feature_extractor_type": EXTRACTOR,
        "feature_size": tower.bins,
        "chunk_length": config.window // RATE,
        "n_samples": config.window,
        "nb_max_frames": config.window // HOP,
        "padding_side": "right",
        "return_attention_mask": True,
    }
