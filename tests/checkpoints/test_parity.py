"""Logits and replies of Hugging Face folders against transformers, for many shapes."""

import io

import numpy as np
import published_folders as published
import pytest
import torch
import transformers
from PIL import Image

import mllm

pytestmark = pytest.mark.thorough

TOLERANCE = 1e-4  # relative to the largest logit
MISTRAL = {"rope_type": "default", "rope_theta": 1e6}
# (family, options of published_folders, images a row)
SHAPES = {
    "llava": ("llava", {}, 1),
    "last layer": ("llava", {"vision_feature_layer": -1}, 2),
    "third layer, class token": (
        "llava",
        {"vision_feature_layer": 3, "vision_feature_select_strategy": "full"},
        1,
    ),
    "two layers joined": ("llava", {"vision_feature_layer": [-1, -2]}, 1),
    "no projector bias, relu": (
        "llava",
        {"multimodal_projector_bias": False, "projector_hidden_act": "relu"},
        1,
    ),
    "one head each, biases, tied": (
        "llava",
        {
            "text": {
                "num_key_value_heads": 4,
                "attention_bias": True,
                "mlp_bias": True,
                "tie_word_embeddings": True,
            }
        },
        1,
    ),
    "wide heads, one key head": ("llava", {"text": {"num_key_value_heads": 1, "head_dim": 12}}, 1),
    "llama3 positions": (
        "llava",
        {
            "text": {
                "rope_parameters": {
                    "rope_type": "llama3",
                    "rope_theta": 1e4,
                    "factor": 8.0,
                    "low_freq_factor": 1.0,
                    "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 16,
                }
            }
        },
        1,
    ),
    "linear positions": (
        "llava",
        {
            "text": {
                "rope_parameters": {"rope_type": "linear", "rope_theta": 5e3, "factor": 2.0},
            }
        },
        1,
    ),
    "siglip and qwen2": (
        "llava",
        {
            "vision": {"model_type": "siglip_vision_model"},
            "text": {"model_type": "qwen2"},
            "vision_feature_layer": -1,
            "vision_feature_select_strategy": "full",
        },
        2,
    ),
    "mistral, short window": (
        "llava",
        {"text": {"model_type": "mistral", "sliding_window": 5}},
        1,
    ),
    "phi3, short window": ("llava", {"text": {"model_type": "phi3", "sliding_window": 5}}, 1),
    "llava next": ("llava_next", {"text": {"rope_parameters": MISTRAL}}, 2),
    "llava next, vicuna, one tile high": (
        "llava_next",
        {
            "text": {"model_type": "llama", "num_key_value_heads": 4},
            "grids": ((1, 2), (1, 3)),
            "vision_feature_layer": [-1, -2],
        },
        1,
    ),
    "llava next, siglip and qwen2": (
        "llava_next",
        {
            "vision": {"model_type": "siglip_vision_model"},
            "text": {"model_type": "qwen2"},
            "vision_feature_layer": -1,
            "vision_feature_select_strategy": "full",
        },
        2,
    ),
    "idefics2": ("idefics2", {}, 2),
    "idefics2, short window, deep": (
        "idefics2",
        {"text": {"sliding_window": 7}, "resampler_depth": 3, "num_key_value_heads": 1},
        1,
    ),
    "idefics2 and phi3": ("idefics2", {"text": {"model_type": "phi3", "sliding_window": None}}, 1),
    "idefics3": ("idefics3", {}, 2),
    "idefics3, three joined": ("idefics3", {"vision": {"image_size": 42}, "join": 3}, 1),
}
# Of these the replies are compared too: each compiles four programs.
TALKING = ("siglip and qwen2", "llava next", "idefics2, short window, deep", "idefics3")
# Width and height of pictures of LLaVA-NeXT: portrait, panorama, landscape, tiny.
ODD = [(29, 61), (100, 12), (50, 37), (3, 2)]


def draw_inputs(model, mine, images: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Two rows with left padding in one; images of Idefics2, Idefics3 and LLaVA-NeXT of all
    sizes.
    """
    rng = np.random.default_rng(seed)
    if mine.loaded.family == "llava_next":
        return draw_tiles(mine, images, rng)
    count, config = mine.loaded.config.image_tokens, mine.loaded.config
    block = [7, *[published.IMAGE_ID] * count]
    length = 6 + images * len(block) + 5
    ids = rng.integers(60, published.VOCABULARY, (2, length))
    ids[:, 6 : 6 + images * len(block)] = block * images
    mask = np.ones_like(ids)
    mask[0, :4] = 0
    side = config.vision.image_size
    inputs = {"input_ids": ids, "attention_mask": mask}
    if not config.vision.ragged:
        pixels = rng.normal(size=(2 * images, 3, side, side)).astype(np.float32)
        return inputs | {"pixel_values": pixels}
    free = mine.loaded.family == "idefics2"
    height, width = (side - 3, side) if free else (side, side)
    pixels = rng.normal(size=(2, images, 3, height, width)).astype(np.float32)
    masks = np.zeros((2, images, height, width), np.int64)
    for row in range(2):
        for image in range(images):
            h, w = rng.integers(8, height + 1), rng.integers(8, width + 1)
            masks[row, image, :h, :w] = 1
    pixels *= masks[:, :, None]
    return inputs | {"pixel_values": pixels, "pixel_attention_mask": masks}


def draw_tiles(mine, images: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Two rows of pictures of unlike sizes, with left padding in the shorter one."""
    processor = mine.loaded.processor
    shown = [processor.picture(picture(*size)) for size in ODD[: 2 * images]]
    side, most = processor.config.image_size, max(len(one.tiles) for one in shown)
    pixels = np.zeros((2 * images, most, 3, side, side), np.float32)
    for place, one in zip(pixels, shown, strict=True):
        place[: len(one.tiles)] = rng.normal(size=(len(one.tiles), 3, side, side))
    rows = [rng.integers(60, published.VOCABULARY, 5).tolist() for _ in range(2)]
    for number, one in enumerate(shown):
        run = [published.IMAGE_ID] * (int(one.offsets.max()) + 1)
        rows[number // images] += [7, *run, *rng.integers(60, published.VOCABULARY, 4).tolist()]
    width = max(map(len, rows))
    return {
        "input_ids": np.array([[0] * (width - len(row)) + row for row in rows]),
        "attention_mask": np.array([[0] * (width - len(row)) + [1] * len(row) for row in rows]),
        "pixel_values": pixels,
        "image_sizes": np.array(ODD[: 2 * images])[:, ::-1].copy(),
    }


@pytest.fixture(scope="module", params=SHAPES)
def pair(request, tmp_path_factory):
    """(transformers' model, ours, images a row, the folder)."""
    family, options, images = SHAPES[request.param]
    folder = tmp_path_factory.mktemp("published")
    model = published.write(family, folder, seed=len(request.param), **options)
    return model, mllm.load(folder), images, folder


def test_logits(pair):
    model, mine, images, _ = pair
    inputs = draw_inputs(model, mine, images)
    with torch.no_grad():
        there = model(**{k: torch.as_tensor(v) for k, v in inputs.items()}).logits.numpy()
    here = mine.logits(**inputs)
    real = inputs["attention_mask"] > 0
    assert np.abs(here - there)[real].max() <= TOLERANCE * np.abs(there[real]).max()


def picture(width: int, height: int) -> bytes:
    file, rng = io.BytesIO(), np.random.default_rng(width)
    noise = rng.integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).resize((width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("pair", TALKING, indirect=True)
def test_replies_and_scores(pair):
    """Prompts of other lengths in one batch, one of them with two pictures, against one by one."""
    model, mine, _, folder = pair
    processor = transformers.AutoProcessor.from_pretrained(folder)
    prompts = [
        "USER: <image>\nWho is it?\nASSISTANT:",
        "USER: <image><image>\nWho is the person in this picture?\nASSISTANT:",
        "USER: Where was Ada born?\nASSISTANT:",
    ]
    shown = [[picture(50, 37)], [picture(29, 61), picture(33, 30)], []]
    replies = mine.generate(prompts, shown, max_new_tokens=6)
    choices = ["the person", "Ada"]
    scores = mine.score(prompts, shown, [choices] * 3)
    for prompt, pictures, reply, found in zip(prompts, shown, replies, scores, strict=True):
        images = [Image.open(io.BytesIO(data)) for data in pictures] or None
        inputs = processor(text=prompt, images=images, return_tensors="pt")
        with torch.no_grad():
            out = model.generate(**inputs, max_new_tokens=6, do_sample=False)
        length = inputs["input_ids"].shape[1]
        assert reply == processor.tokenizer.decode(out[0, length:], skip_special_tokens=True)
        for choice, score in zip(choices, found, strict=True):
            whole = processor(text=prompt + choice, images=images, return_tensors="pt")
            ids = whole["input_ids"][0]
            assert ids[:length].tolist() == inputs["input_ids"][0].tolist()
            with torch.no_grad():
                table = torch.log_softmax(model(**whole).logits[0], dim=-1)
            expected = sum(table[i - 1, ids[i]].item() for i in range(length, len(ids)))
            assert score == pytest.approx(expected, rel=1e-4)
