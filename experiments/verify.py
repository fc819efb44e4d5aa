"""Compare a checkpoint of this project with its Hugging Face folder, stage by stage."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from mllm.api import Model, load
from mllm.checkpoints.loaded import Loaded
from mllm.data.conversation import image as media_of
from mllm.data.conversation import user
from mllm.data.rows import lay_out
from mllm.evaluation.request import Request, Text
from mllm.evaluation.runner import LocalModel
from mllm.ops.lora import merge_lora

TOLERANCE = 1e-4  # largest difference over largest value, in float32
# Width and height of the pictures that are shown. In Idefics2-8B, the second has 50 patches along
# a side, where the rules of positions differ.
SIZES = (50, 37), (350, 700)
QUESTION = "Who is the person in this picture?"
NEW_TOKENS = 8
# In the order in which they are computed.
STAGES = ("pixels", "patches", "positions", "features", "image tokens", "newline", "embeddings")
STAGES += ("logits",)


def verify(published: Path, ours: Path) -> None:
    """Print the difference from transformers at each stage.

    Raises:
      ValueError: naming the first stage that differs; or torch and transformers are not installed.
    """
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise ValueError(
            f"--verify compares with transformers: install torch and transformers ({error})"
        ) from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    theirs = transformers.AutoModelForImageTextToText.from_pretrained(
        published, dtype=torch.float32, local_files_only=True
    ).eval()
    processor = transformers.AutoProcessor.from_pretrained(published, local_files_only=True)
    model = Model(in_float32(load(ours).loaded))
    for seed, (width, height) in enumerate(SIZES):
        print(f"picture of {width} x {height}: largest difference over largest value")
        for stage, here, there in compare(model, theirs, processor, draw(width, height, seed)):
            difference = distance(here, there)
            verdict = "equal" if difference <= TOLERANCE else "DIFFERS"
            print(f"  {stage:<13}{difference:9.1e}  {verdict}", flush=True)
            if verdict != "equal":
                raise ValueError(
                    f"{ours}: {stage!r} is the first stage that differs from transformers on "
                    f"{published}: by {difference:.1e} of its largest value, allowed {TOLERANCE}"
                )


def in_float32(loaded: Loaded) -> Loaded:
    """Return a model that computes in float32 with the weights that its export holds: adapters are
    first merged, and rounded to the stored type.
    """
    merged = merge_lora(loaded.variables)
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), merged)
    return replace(loaded, variables=wide, config=replace(loaded.config, dtype="float32"))


def draw(width: int, height: int, seed: int) -> Image.Image:
    """Return a picture of smooth colours with noise."""
    across, down = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    noise = np.random.default_rng(seed).uniform(0, 55, (height, width, 3))
    return Image.fromarray((np.stack([across, down, across], axis=-1) + noise).astype(np.uint8))


def distance(here, there) -> float:
    """Return the largest difference over the largest value; infinite if shapes differ."""
    here, there = np.asarray(here, np.float64), np.asarray(there, np.float64)
    if here.shape != there.shape:
        return float("inf")
    if not here.size:
        return 0.0
    return float(np.abs(here - there).max() / max(np.abs(there).max(), 1e-30))


def compare(model: Model, theirs, processor, image: Image.Image) -> Iterator[tuple]:
    """Return (stage, our values, theirs) in the order in which they are computed."""
    loaded, file = model.loaded, io.BytesIO()
    image.save(file, "PNG")
    turns = [user(media_of(file.getvalue()), QUESTION)]
    text = loaded.processor.text(turns)
    encoded = loaded.processor.encode(turns, generate=True)
    prompt, picture = list(encoded.ids), loaded.processor.prepare(*encoded.media)
    # A chat template may itself write the token that begins a row.
    begun = bool(processor.tokenizer.bos_token) and text.startswith(processor.tokenizer.bos_token)
    inputs = processor(text=text, images=[image], return_tensors="pt", add_special_tokens=not begun)
    yield "token ids", [prompt], inputs["input_ids"]
    token = {"image_id": loaded.image_id, "image_tokens": loaded.config.image_tokens}
    batch = jax.tree.map(jnp.asarray, lay_out([prompt], [[picture]], **token))
    stages = jax.jit(loaded.model.stages, static_argnums=0)
    here = stages(loaded.config, loaded.variables, batch)
    there = published_stages(theirs, inputs)
    for stage in STAGES:
        if stage in here:
            yield stage, here[stage], there[stage]
    replied = theirs.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
    reply = processor.tokenizer.decode(replied[0, len(prompt) :], skip_special_tokens=True)
    asked = Request("0", "picture", {}, tuple(turns), Text(NEW_TOKENS))
    ((said,),) = LocalModel(replace(loaded, system_prompt=None)).answer([asked], set())
    yield "reply", list(map(ord, said.text)), list(map(ord, reply))


def published_stages(theirs, inputs) -> dict[str, np.ndarray]:
    """Return the ``stages`` of a transformers model, recorded when its modules are called."""
    import torch

    pixels = inputs["pixel_values"]
    seen = {"pixels": pixels.reshape(-1, *pixels.shape[-3:]).movedim(1, -1)}

    def catch(module, arguments, named, output):
        name = names[module]
        if name == "patch_embedding":
            seen["patches"] = output.flatten(2).movedim(1, 2)
        elif name == "position_embedding":
            seen["positions"] = arguments[0]
        elif name in ("multi_modal_projector", "connector"):
            seen["features"], seen["image tokens"] = arguments[0], output
        else:
            seen["embeddings"] = named["inputs_embeds"]

    known = ("patch_embedding", "position_embedding", "multi_modal_projector", "connector")
    known += ("language_model", "text_model")
    names = {
        module: name.rpartition(".")[2]
        for name, module in theirs.named_modules()
        if name.rpartition(".")[2] in known
    }
    hooks = [module.register_forward_hook(catch, with_kwargs=True) for module in names]
    with torch.no_grad():
        seen["logits"] = theirs(**inputs).logits
    for hook in hooks:
        hook.remove()
    for name, values in theirs.named_parameters():
        if name.rpartition(".")[2] == "image_newline":
            seen["newline"] = values
    return {stage: values.detach().numpy() for stage, values in seen.items()}
