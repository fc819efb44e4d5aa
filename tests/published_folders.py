"""Hugging Face folders of small random models, as transformers itself writes them."""

import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

WORDS = "USER: Who is the person in this picture ? Where was Ada born? ASSISTANT: User:Assistant:\n"
TILES = [f"<row_{r}_col_{c}>" for r in range(1, 7) for c in range(1, 7)]
SPECIAL = [
    "<pad>",
    "<s>",
    "</s>",
    "<image>",
    "<fake_token_around_image>",
    "<global-img>",
    "<end_of_utterance>",
    *TILES,
]
IMAGE_ID = SPECIAL.index("<image>")
VOCABULARY = 340
TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 7,
}
PERCEIVER = {
    "hidden_size": 32,
    "resampler_n_latents": 4,
    "resampler_depth": 2,
    "resampler_n_heads": 4,
    "resampler_head_dim": 8,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
}


def make_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A byte-level BPE that begins rows with ``<s>``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s>:0 $A:0", pair="<s>:0 $A:0 $B:0", special_tokens=[("<s>", 1)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=SPECIAL[3:],
    )


def randomise(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Replace every parameter, so that no bias is zero and no gain is one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + noise / 5 if parameter.ndim == 1 else noise / 5)
    return model.eval()


def llava(text: dict | None = None, vision: dict | None = None, **options):
    """(model, image processor, processor class and its options)."""
    text = transformers.AutoConfig.for_model(**{"model_type": "llama", **TEXT, **(text or {})})
    vision = {"model_type": "clip_vision_model", **VISION, **(vision or {})}
    vision = transformers.AutoConfig.for_model(**vision)
    config = transformers.LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=IMAGE_ID, **options
    )
    side, clip = vision.image_size, vision.model_type == "clip_vision_model"
    images = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    )
    kind = {
        "patch_size": vision.patch_size,
        "num_additional_image_tokens": int(clip),
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
    }
    model = transformers.LlavaForConditionalGeneration(config)
    return model, images, transformers.LlavaProcessor, kind


def llava_next(
    text: dict | None = None, vision: dict | None = None, grids=((1, 2), (2, 1), (2, 2)), **options
):
    """As ``llava``; pictures are shown on canvases of these grids of tiles too."""
    text = {"model_type": "mistral", "sliding_window": None, **TEXT, **(text or {})}
    vision = {"model_type": "clip_vision_model", **VISION, **(vision or {})}
    vision, side = transformers.AutoConfig.for_model(**vision), vision["image_size"]
    pinpoints = [[rows * side, columns * side] for rows, columns in grids]
    config = transformers.LlavaNextConfig(
        vision_config=vision,
        text_config=transformers.AutoConfig.for_model(**text),
        image_token_index=IMAGE_ID,
        image_grid_pinpoints=pinpoints,
        **options,
    )
    images = transformers.LlavaNextImageProcessorPil(
        size={"shortest_edge": side},
        crop_size={"height": side, "width": side},
        image_grid_pinpoints=pinpoints,
    )
    kind = {
        "patch_size": vision.patch_size,
        "num_additional_image_tokens": int(vision.model_type == "clip_vision_model"),
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
    }
    model = transformers.LlavaNextForConditionalGeneration(config)
    return model, images, transformers.LlavaNextProcessor, kind


def idefics2(
    text: dict | None = None, vision: dict | None = None, split: bool = False, **perceiver
):
    """As ``llava``; pictures have sides of 28 to 56 pixels."""
    config = transformers.Idefics2Config(
        vision_config={**VISION, "image_size": 56, **(vision or {})},
        text_config={"model_type": "mistral", "sliding_window": 64, **TEXT, **(text or {})},
        perceiver_config={**PERCEIVER, **perceiver},
        image_token_id=IMAGE_ID,
    )
    images = transformers.Idefics2ImageProcessorPil(
        size={"longest_edge": 56, "shortest_edge": 28}, do_image_splitting=split
    )
    kind = {"image_seq_len": config.perceiver_config.resampler_n_latents}
    model = transformers.Idefics2ForConditionalGeneration(config)
    return model, images, transformers.Idefics2Processor, kind


def idefics3(text: dict | None = None, vision: dict | None = None, split: bool = True, join=2):
    """As ``llava``; pictures have up to 3 x 3 tiles."""
    config = transformers.Idefics3Config(
        vision_config={**VISION, **(vision or {})},
        text_config={"model_type": "llama", **TEXT, **(text or {})},
        image_token_id=IMAGE_ID,
        scale_factor=join,
    )
    side = config.vision_config.image_size
    images = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 3 * side},
        max_image_size={"longest_edge": side},
        do_image_splitting=split,
    )
    count = (side // config.vision_config.patch_size // join) ** 2
    model = transformers.Idefics3ForConditionalGeneration(config)
    return model, images, transformers.Idefics3Processor, {"image_seq_len": count}


FAMILIES = {
    "llava": llava,
    "llava_next": llava_next,
    "idefics2": idefics2,
    "idefics3": idefics3,
}


def write(family: str, folder: Path, *, seed: int = 0, dtype=torch.float32, **options):
    """Save a model of random weights in several shards, with tokenizer and processor; returns the
    model in torch.
    """
    model, images, kind, settings = FAMILIES[family](**options)
    model = randomise(model, seed).to(dtype)
    model.save_pretrained(folder, max_shard_size="30KB")
    kind(images, make_tokenizer(), **settings).save_pretrained(folder)
    return model
