"""Folders of LLaVA-NeXT: the published sizes, and mistakes in the files of a small one."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import published_folders as published
import pytest
import torch
import transformers
from damage import setting
from flax.traverse_util import flatten_dict
from PIL import Image
from toy import make_processor
from transformers import AutoProcessor, LlavaNextForConditionalGeneration

import mllm
from configs.bench.llava_next7b import LLAVA_NEXT_7B
from mllm.checkpoints.hf import find_prefixes, find_sources
from mllm.checkpoints.hf_config import read_config
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.tables import TABLES
from mllm.data.hf_processor import write_hf_processor
from mllm.data.processor import Processor
from mllm.models import (
    MODELS,
    DecoderConfig,
    LlavaNextConfig,
    ProjectorConfig,
    VisionConfig,
    config_from_dict,
    llava_next,
)

# The keys that matter of the config.json of llava-hf/llava-v1.6-mistral-7b-hf; those that are
# missing have the library's defaults.
PUBLISHED = {
    "model_type": "llava_next",
    "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
    "image_token_index": 32000,
    "projector_hidden_act": "gelu",
    "text_config": {
        "model_type": "mistral",
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-05,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "vocab_size": 32064,
    },
    "use_image_newline_parameter": True,
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": 1024,
        "image_size": 336,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
        "patch_size": 14,
    },
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
}


def test_the_published_sizes_have_a_leaf_for_every_tensor():
    """Without weights: 7.57 billion parameters, of which CLIP's last layer and norm are carried."""
    config = read_config(Path("config.json"), PUBLISHED, {}, "bfloat16")
    decoder = config.decoder
    assert (decoder.window, decoder.kv_heads, decoder.rope_theta) == (None, 8, 1e6)
    with torch.device("meta"):
        model = LlavaNextForConditionalGeneration(transformers.LlavaNextConfig(**PUBLISHED))
    stored = {name: tuple(values.shape) for name, values in model.state_dict().items()}
    assert round(sum(map(math.prod, stored.values())) / 1e9, 2) == 7.57
    leaves = flatten_dict(MODELS["llava_next"].abstract(config)["params"], sep="/")
    shapes = {path: leaf.shape for path, leaf in leaves.items()}
    table = TABLES["llava_next"]
    found = find_sources(table, find_prefixes(stored, table), shapes).values()
    read = {name: source.shape for source in found for name in source.names}
    assert read.items() <= stored.items()
    rest = {name.removeprefix("model.vision_tower.") for name in stored.keys() - read.keys()}
    assert len(rest) == 18
    assert all(name.startswith(("encoder.layers.23.", "post_layernorm.")) for name in rest)
    family, sizes = config_from_dict(LLAVA_NEXT_7B)
    sized = flatten_dict(MODELS[family].abstract(sizes)["params"], sep="/")
    assert {path: leaf.shape for path, leaf in sized.items()} == shapes
    assert sizes.largest == (5, 2928)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("published")
    published.write("llava_next", found)
    return found


@pytest.mark.parametrize(
    ("file", "key", "value", "message"),
    [
        (
            "processor_config.json",
            "image_processor.image_grid_pinpoints",
            [[28, 56], [56, 28], [84, 28]],
            r"processor_config\.json: image_grid_pinpoints gives canvases of .*\(3, 1\)\) tiles, "
            r"expected .*\(2, 2\)\), those of .*config\.json: model and processor would place",
        ),
        (
            "processor_config.json",
            "image_processor.image_grid_pinpoints",
            [[28, 57]],
            r"image_grid_pinpoints is \[\[28, 57\]\], expected a list of .* multiples of 28",
        ),
        (
            "config.json",
            "image_grid_pinpoints",
            [[28]],
            r"config\.json: key 'image_grid_pinpoints': expected a list .*, found \[\[28\]\]",
        ),
        (
            "config.json",
            "vision_feature_select_strategy",
            "full",
            r"'vision_feature_select_strategy': expected default: .* found 'full'",
        ),
        (
            "processor_config.json",
            "image_processor.crop_size.height",
            56,
            r"crop_size\.height is 56, expected 28 as size\.shortest_edge",
        ),
    ],
)
def test_what_does_not_fit_is_named(folder, tmp_path, file, key, value, message):
    shutil.copytree(folder, tmp_path / "copy")
    setting(file, key, value)(tmp_path / "copy")
    with pytest.raises(ValueError, match=message):
        mllm.load(tmp_path / "copy")


@pytest.mark.parametrize(("kind", "named"), [("mistral", "mistral"), ("llama", "vicuna")])
def test_a_folder_without_a_template_is_asked_as_its_decoder_was_taught(tmp_path, kind, named):
    published.write("llava_next", tmp_path, text={"model_type": kind})
    assert mllm.load(tmp_path).loaded.processor.config.chat_format == named


def test_sizes_of_pictures_belong_to_the_inputs(folder):
    model = mllm.load(folder)
    with pytest.raises(ValueError, match=r"image_sizes: expected .* of 1 pictures, found none"):
        model.logits([[1, 2]], [[[[[0.0] * 28] * 28] * 3] * 3])


def test_an_unsplit_processor_is_not_exported(folder, tmp_path):
    loaded = mllm.load(folder).loaded
    config = replace(loaded.processor.config, split=False)
    whole = replace(loaded.processor, config=config)
    with pytest.raises(ValueError, match=r"split is False, expected True: LlavaNextProcessor"):
        write_hf_processor(tmp_path / "out", whole, "llava_next", loaded.config.vision)


@pytest.mark.thorough
def test_a_model_of_ours_computes_in_transformers_as_with_us(tmp_path):
    sizes = dict(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=32)
    decoder = DecoderConfig(300, 32, layers=1, heads=4, kv_heads=2, head_dim=8, mlp_width=48)
    projector = ProjectorConfig(mlp_width=32, width=32)
    config = LlavaNextConfig(decoder, VisionConfig(**sizes), projector, grids=((1, 2), (2, 2)))
    plain = make_processor()
    known = {**config.pictures, "split": True, "image_tokens": config.image_tokens}
    processor = Processor(replace(plain.config, **known), plain.tokenizer)
    variables = llava_next.init(config, jax.random.key(0))
    mllm.api.Model(Loaded("llava_next", config, variables, processor)).save(tmp_path / "hf", "hf")
    theirs, report = LlavaNextForConditionalGeneration.from_pretrained(
        tmp_path / "hf", output_loading_info=True
    )
    assert not any(report.values()), report
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (21, 40, 3), np.uint8))
    prepare = AutoProcessor.from_pretrained(tmp_path / "hf")
    inputs = prepare(text="USER: <image>\nWho?\nASSISTANT:", images=[image], return_tensors="pt")
    with torch.no_grad():
        there = theirs.eval()(**inputs).logits.numpy()
    again = mllm.load(tmp_path / "hf")
    assert again.loaded.config == config and again.loaded.processor.config.grids == config.grids
    here = again.logits(**{name: values.numpy() for name, values in inputs.items()})
    np.testing.assert_allclose(here, there, atol=1e-4 * np.abs(there).max())
